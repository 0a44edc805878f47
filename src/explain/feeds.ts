import { invalid } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { ancestors, type Dim, type Graph, type ValueInfo, valueInfo } from '../graph/graph.js';
import { readNpy } from '../image/npy.js';
import { DataType } from '../onnx/types.js';
import { sizeOf, type Tensor, type TensorType } from '../tensor.js';
import type { InputValue } from './explain-options.js';

/** The values of a model's inputs beside the picture. */
export interface Feeds {
  /** Of some pictures of a call, repeated or a row each; `count` is N, `total` all pictures of the call. */
  of(start: number, count: number, total: number, padded: number): Record<string, Tensor>;
  readonly names: readonly string[];
}

const tensorTypes: Readonly<Record<number, TensorType>> = {
  [DataType.FLOAT]: 'float32',
  [DataType.DOUBLE]: 'float64',
  [DataType.INT64]: 'int64',
  [DataType.INT32]: 'int32',
  [DataType.UINT8]: 'uint8',
  [DataType.BOOL]: 'bool',
};

/**
 * Reads and checks what is given for the inputs that some values need beside the picture.
 *
 * @throws GradcamppError UNSUPPORTED_MODEL naming the inputs for which nothing is given, and how to give it
 */
export async function openFeeds(
  graph: Graph,
  image: string,
  original: string,
  wanted: readonly string[],
  given: Readonly<Record<string, InputValue>>,
): Promise<Feeds> {
  const needed = ancestors(graph, wanted);
  const others = graph.inputs.filter(({ name }) => name !== image && needed.has(name));
  const known = graph.inputs.map(({ name }) => name);
  for (const name of Object.keys(given))
    if (!known.includes(name))
      throw invalid(`inputs.${name}`, `one of the model's inputs, ${known.join(', ')}`, name);
  const missing = others.filter(({ name }) => given[name] === undefined);
  if (missing.length > 0) {
    const names = missing.map(
      ({ name, dims }) => `${JSON.stringify(name)} [${dims?.map((dim) => dim || '?').join(', ') ?? '?'}]`,
    );
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `The scores need more than the picture ${JSON.stringify(original)}: the inputs ${names.join(', ')}. Give them as "inputs" (--feed ${missing[0].name}=value or file.npy, or "inputs" in the JSON sidecar).`,
    );
  }
  const [batch] = valueInfo(graph, image).dims ?? [];
  const tensors = new Map<string, { info: ValueInfo; tensor: Tensor }>();
  for (const { name } of others) {
    const info = valueInfo(graph, name);
    tensors.set(name, { info, tensor: await tensorOf(info, given[name]) });
  }
  return {
    names: [...tensors.keys()],
    of: (start, count, total, padded) =>
      Object.fromEntries(
        [...tensors].map(([name, { info, tensor }]) => [
          name,
          rowsFor(info, tensor, { start, count, total, padded, batch }),
        ]),
      ),
  };
}

/** What was given as a tensor of the input's type. */
async function tensorOf(info: ValueInfo, value: InputValue): Promise<Tensor> {
  const type = tensorTypes[info.type ?? DataType.FLOAT];
  if (!type)
    throw new GradcamppError('UNSUPPORTED_MODEL', `The input "${info.name}" has a type that cannot be fed.`);
  if (typeof value === 'string') return converted(await readNpy(value), type);
  if (typeof value === 'number') {
    const dims = (info.dims ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
    return converted({ type: 'float64', dims, data: new Float64Array(sizeOf(dims)).fill(value) }, type);
  }
  if (Array.isArray(value)) {
    if (!value.every((item) => typeof item === 'number'))
      throw invalid(`inputs.${info.name}`, 'numbers', value);
    const dims = (info.dims ?? []).map((dim) => (typeof dim === 'number' ? dim : 1));
    const shape = sizeOf(dims) === value.length ? dims : [value.length];
    return converted({ type: 'float64', dims: shape, data: Float64Array.from(value) }, type);
  }
  if (value === null || typeof value !== 'object' || !('dims' in value) || !('data' in value))
    throw invalid(`inputs.${info.name}`, 'a number, numbers, a tensor or the path of a .npy file', value);
  return converted(value as Tensor, type);
}

function converted({ dims, data }: Tensor, type: TensorType): Tensor {
  const numbers = data as ArrayLike<number | bigint>;
  switch (type) {
    case 'int64':
      return { type, dims, data: BigInt64Array.from(Array.from(numbers, (item) => BigInt(item))) };
    case 'float64':
      return { type, dims, data: Float64Array.from(numbers as ArrayLike<number>, Number) };
    case 'int32':
      return { type, dims, data: Int32Array.from(numbers as ArrayLike<number>, Number) };
    case 'float32':
      return { type, dims, data: Float32Array.from(numbers as ArrayLike<number>, Number) };
    default:
      return { type, dims, data: Uint8Array.from(numbers as ArrayLike<number>, Number) };
  }
}

interface Rows {
  readonly start: number;
  readonly count: number;
  readonly total: number;
  readonly padded: number;
  /** N, as the picture's input calls it. */
  readonly batch: Dim | undefined;
}

/** Where N is: first; or behind the number of layers, as states of recurrent networks have it; undefined: nowhere. */
function batchAxisOf(dims: readonly Dim[], { padded, batch }: Rows): number | undefined {
  if (typeof dims[0] === 'string') return 0;
  if (typeof batch === 'string' && batch !== '' && dims[1] === batch) return 1;
  return dims.length > 0 && dims[0] === padded ? 0 : undefined;
}

/** The rows of some pictures: each its own where there are as many as pictures, the same one otherwise. */
function rowsFor({ name, dims = [] }: ValueInfo, tensor: Tensor, rows: Rows): Tensor {
  const { start, count, total, padded } = rows;
  const axis = batchAxisOf(dims, rows);
  const own =
    tensor.dims.length === dims.length
      ? tensor.dims
      : [...tensor.dims.slice(0, axis ?? 0), 1, ...tensor.dims.slice(axis ?? 0)];
  const fits =
    own.length === dims.length &&
    own.every((dim, i) => i === axis || typeof dims[i] === 'string' || dims[i] === dim);
  if (!fits && !(dims.length === 0 && sizeOf(tensor.dims) === 1))
    throw new GradcamppError(
      'INVALID_OPTION',
      `"inputs.${name}" must have dims [${dims.map((dim) => dim || '?').join(', ')}]; received ${show(tensor.dims)}.`,
    );
  if (axis === undefined) return { ...tensor, dims: dims.length === 0 ? [] : own };
  const given = own[axis];
  if (given !== 1 && given !== total)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"inputs.${name}" must have one row, or one a picture, ${total}; received ${given}.`,
    );
  const size = sizeOf(own.slice(axis + 1));
  const outer = sizeOf(own.slice(0, axis));
  const data = new (tensor.data.constructor as new (length: number) => Float32Array)(outer * padded * size);
  const source = tensor.data as unknown as Float32Array;
  for (let o = 0; o < outer; o++)
    for (let n = 0; n < padded; n++) {
      const from = (o * given + (given === 1 ? 0 : start + Math.min(n, count - 1))) * size;
      data.set(source.subarray(from, from + size), (o * padded + n) * size);
    }
  return { type: tensor.type, dims: own.with(axis, padded), data } as Tensor;
}
