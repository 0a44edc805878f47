import { fromBinary } from '@bufbuild/protobuf';
import { GradcamppError, messageOf } from '../errors.js';
import {
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
} from './onnx_pb.js';

/** A model file as it was read. Weights are views into the bytes that were read. */
export interface Model {
  readonly proto: ModelProto;
  /** For messages: the path, or "model" for bytes. */
  readonly name: string;
  /** The bytes of a tensor that is kept outside the file; undefined for all others. */
  readonly external: (tensor: TensorProto) => Uint8Array | undefined;
}

/**
 * The bytes of a file that the model names, in which it keeps a tensor.
 *
 * @throws GradcamppError INVALID_MODEL where there is none
 */
export type Beside = (location: string, tensor: string) => Promise<Uint8Array>;

/**
 * The model in the bytes of an ONNX file, with what is kept beside it.
 *
 * @param name what messages call it
 * @throws GradcamppError INVALID_MODEL saying what is wrong with it
 */
export async function modelFrom(bytes: Uint8Array, name: string, beside: Beside): Promise<Model> {
  const proto = decode(bytes, name);
  return { proto, name, external: await loadExternal(proto, name, beside) };
}

function decode(bytes: Uint8Array, name: string): ModelProto {
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new GradcamppError(
      'INVALID_MODEL',
      /recursion depth/.test(messageOf(error))
        ? `"${name}" holds graphs inside graphs, too many levels deep; that is refused.`
        : `"${name}" is not an ONNX model, or only part of one (${bytes.byteLength} bytes); export or copy it again.`,
      { cause: error },
    );
  }
  if (proto.graph === undefined || proto.irVersion <= 0n || proto.opsetImport.length === 0)
    throw new GradcamppError(
      'INVALID_MODEL',
      `"${name}" is not an ONNX model: it has no ${proto.graph === undefined ? 'graph' : 'version'} (${bytes.byteLength} bytes read).`,
    );
  return proto;
}

/** Every tensor of a graph, in initializers and in attributes, subgraphs included. */
function* tensorsOf(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const node of graph.node) for (const attribute of node.attribute) yield* attributeTensors(attribute);
}

function* attributeTensors(attribute: AttributeProto): Generator<TensorProto> {
  if (attribute.t) yield attribute.t;
  yield* attribute.tensors;
  if (attribute.g) yield* tensorsOf(attribute.g);
  for (const graph of attribute.graphs) yield* tensorsOf(graph);
}

/** Reads the files in which tensors are kept, each once. */
async function loadExternal(proto: ModelProto, name: string, beside: Beside): Promise<Model['external']> {
  const views = new Map<TensorProto, Uint8Array>();
  for (const tensor of allTensors(proto)) {
    if (tensor.dataLocation !== DataLocation.EXTERNAL) continue;
    const entries = new Map(tensor.externalData.map((entry) => [entry.key, entry.value]));
    const location = entries.get('location') ?? '';
    const file = await beside(location, tensor.name);
    const offset = Number(entries.get('offset') ?? 0);
    const length = Number(entries.get('length') ?? file.byteLength - offset);
    if (!(offset >= 0 && length >= 0 && offset + length <= file.byteLength))
      throw new GradcamppError(
        'INVALID_MODEL',
        `External data "${location}" of "${name}" has ${file.byteLength} bytes; tensor "${tensor.name}" needs bytes ${offset} to ${offset + length}. The file is incomplete.`,
      );
    views.set(tensor, file.subarray(offset, offset + length));
  }
  return (tensor) => views.get(tensor);
}

function* allTensors({ graph, functions }: ModelProto): Generator<TensorProto> {
  if (graph) yield* tensorsOf(graph);
  for (const { node } of functions)
    for (const { attribute } of node) for (const item of attribute) yield* attributeTensors(item);
}
