import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import { invalid } from '../check.js';
import { GradcamppError, messageOf } from '../errors.js';
import { readBytes, whyUnreadable } from '../files.js';
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
    bytes = await readBytes(path);
  } catch (error) {
    throw new GradcamppError('INVALID_MODEL', `Cannot read model "${path}": ${whyUnreadable(error)}.`, {
      cause: error,
    });
  }
  const proto = decode(bytes, path);
  return { proto, name: path, external: await loadExternal(proto, path, path) };
}

function urlPath(url: URL): string {
  if (url.protocol !== 'file:')
    throw new GradcamppError(
      'INVALID_MODEL',
      `"model" must be a path, a file: URL or bytes; received a ${url.protocol} URL. Fetch it first and pass the bytes.`,
    );
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new GradcamppError(
      'INVALID_MODEL',
      `"model" must be a URL of a file on this machine; received "${url.href}": ${messageOf(error)}.`,
      { cause: error },
    );
  }
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

/** Reads the files in which tensors are kept, each once. */
async function loadExternal(
  proto: ModelProto,
  path: string | undefined,
  name: string,
): Promise<Model['external']> {
  const views = new Map<TensorProto, Uint8Array>();
  const beside = new Beside(path, name);
  for (const tensor of allTensors(proto)) {
    if (tensor.dataLocation !== DataLocation.EXTERNAL) continue;
    const entries = new Map(tensor.externalData.map((entry) => [entry.key, entry.value]));
    const location = entries.get('location') ?? '';
    if (path === undefined)
      throw new GradcamppError(
        'INVALID_MODEL',
        `The model keeps tensor "${tensor.name}" in a file "${location}", which bytes alone cannot name. Pass the model's path instead.`,
      );
    const file = await beside.read(location);
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

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The files beside a model. One that is spelled in several ways is read once; none outside the folder is read. */
class Beside {
  readonly #path: string;
  readonly #name: string;
  readonly #spellings = new Map<string, Uint8Array>();
  readonly #files = new Map<string, Uint8Array>();

  constructor(path = '', name: string) {
    this.#path = path;
    this.#name = name;
  }

  async read(location: string): Promise<Uint8Array> {
    const known = this.#spellings.get(location);
    if (known) return known;
    const relative = normalize(location);
    if (location === '' || isAbsolute(relative) || relative.split(sep)[0] === '..')
      throw this.#outside(location);
    const path = join(dirname(this.#path), relative);
    try {
      const real = await realpath(path);
      if (!(await this.#isWithin(real))) throw this.#outside(location);
      const bytes = this.#files.get(real) ?? viewOf(await readBytes(real));
      this.#files.set(real, bytes);
      this.#spellings.set(location, bytes);
      return bytes;
    } catch (error) {
      if (error instanceof GradcamppError) throw error;
      throw new GradcamppError(
        'INVALID_MODEL',
        `External data "${path}" of "${this.#name}" cannot be read: ${whyUnreadable(error)}.`,
        { cause: error },
      );
    }
  }

  /** In the folder where the model lies, or in that where it really lies: caches link both into one folder. */
  async #isWithin(real: string): Promise<boolean> {
    const folders = [await realpath(dirname(this.#path)), dirname(await realpath(this.#path))];
    return folders.some((folder) => real.startsWith(folder.endsWith(sep) ? folder : folder + sep));
  }

  #outside(location: string): GradcamppError {
    return new GradcamppError(
      'INVALID_MODEL',
      `"${this.#name}" keeps data in "${location}", outside its own folder; that is refused.`,
    );
  }
}
