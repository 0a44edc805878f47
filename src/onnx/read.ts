import { open, readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import { invalid } from '../check.js';
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
 * Reads an ONNX model and the external data beside it.
 *
 * @param source a path, a `file:` URL, or the bytes of a model without external data
 * @throws GradcamppError INVALID_MODEL naming the file and what is wrong with it
 */
export async function readModel(source: string | URL | Uint8Array): Promise<Model> {
  if (source instanceof Uint8Array) {
    const proto = decode(source, 'model');
    return { proto, name: 'model', external: await loadExternal(proto, undefined, 'model') };
  }
  if (typeof source !== 'string' && !(source instanceof URL))
    throw invalid('model', 'a path, a file: URL or bytes in a Uint8Array', source, '', 'INVALID_MODEL');
  const path = source instanceof URL ? urlPath(source) : source;
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new GradcamppError('INVALID_MODEL', `Cannot read model "${path}": ${reason(error)}.`, {
      cause: error,
    });
  }
  const proto = decode(bytes, path);
  return { proto, name: path, external: await loadExternal(proto, dirname(path), path) };
}

function urlPath(url: URL): string {
  if (url.protocol === 'file:') return fileURLToPath(url);
  throw new GradcamppError(
    'INVALID_MODEL',
    `"model" must be a path, a file: URL or bytes; received a ${url.protocol} URL. Fetch it first and pass the bytes.`,
  );
}

function decode(bytes: Uint8Array, name: string): ModelProto {
  let proto: ModelProto;
  try {
    proto = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new GradcamppError(
      'INVALID_MODEL',
      `"${name}" is not an ONNX model, or only part of one (${bytes.byteLength} bytes); export or copy it again.`,
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
export function* tensorsOf(graph: GraphProto): Generator<TensorProto> {
  yield* graph.initializer;
  for (const node of graph.node) for (const attribute of node.attribute) yield* attributeTensors(attribute);
}

function* attributeTensors(attribute: AttributeProto): Generator<TensorProto> {
  if (attribute.t) yield attribute.t;
  yield* attribute.tensors;
  if (attribute.g) yield* tensorsOf(attribute.g);
  for (const graph of attribute.graphs) yield* tensorsOf(graph);
}

async function loadExternal(
  proto: ModelProto,
  directory: string | undefined,
  name: string,
): Promise<Model['external']> {
  const views = new Map<TensorProto, Uint8Array>();
  const files = new Map<string, Uint8Array>();
  for (const tensor of tensorsOf(proto.graph as GraphProto)) {
    if (tensor.dataLocation !== DataLocation.EXTERNAL) continue;
    const entries = new Map(tensor.externalData.map((entry) => [entry.key, entry.value]));
    const location = entries.get('location') ?? '';
    if (directory === undefined)
      throw new GradcamppError(
        'INVALID_MODEL',
        `The model keeps tensor "${tensor.name}" in a file "${location}", which bytes alone cannot name. Pass the model's path instead.`,
      );
    if (!files.has(location)) files.set(location, await readBeside(directory, location, name));
    const file = files.get(location) as Uint8Array;
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

async function readBeside(directory: string, location: string, name: string): Promise<Uint8Array> {
  const relative = normalize(location);
  if (location === '' || isAbsolute(relative) || relative.split(sep)[0] === '..')
    throw new GradcamppError(
      'INVALID_MODEL',
      `"${name}" keeps data in "${location}", outside its own folder; that is refused.`,
    );
  const path = join(directory, relative);
  try {
    return await readWhole(path);
  } catch (error) {
    throw new GradcamppError(
      'INVALID_MODEL',
      `External data "${path}" of "${name}" cannot be read: ${reason(error)}.`,
      { cause: error },
    );
  }
}

/** Like readFile, without its limit of 2 GiB. */
async function readWhole(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(size);
    const step = 1 << 30;
    for (let position = 0; position < size; ) {
      const { bytesRead } = await file.read(bytes, position, Math.min(step, size - position), position);
      if (bytesRead === 0) return bytes.subarray(0, position);
      position += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

function reason(error: unknown): string {
  const code = (error as { code?: string }).code;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'EACCES') return 'permission denied';
  return messageOf(error);
}
