import { invalid, oneOf, text } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { halfToNumber, sizeOf, type Tensor, type TensorArrays, type TensorType } from '../tensor.js';
import { readBytes } from './file.js';

/**
 * NumPy's `.npy` format, versions 1 to 3. Read: booleans, integers of 1 to 8 bytes, floats of 2 to 8, either
 * byte order, C or Fortran order, at most 64 dims as in NumPy; what follows the numbers is ignored. Written: version 1, little-endian, C order, as NumPy itself writes it.
 */

interface Element {
  readonly bytes: 1 | 2 | 4 | 8;
  /** The narrowest of our types that holds every value. */
  readonly type: TensorType;
  readonly read: (view: DataView, at: number, little: boolean) => number | bigint;
}

const elements: Readonly<Record<string, Element>> = {
  b1: { bytes: 1, type: 'bool', read: (v, at) => (v.getUint8(at) ? 1 : 0) },
  u1: { bytes: 1, type: 'uint8', read: (v, at) => v.getUint8(at) },
  i1: { bytes: 1, type: 'int32', read: (v, at) => v.getInt8(at) },
  u2: { bytes: 2, type: 'int32', read: (v, at, little) => v.getUint16(at, little) },
  i2: { bytes: 2, type: 'int32', read: (v, at, little) => v.getInt16(at, little) },
  i4: { bytes: 4, type: 'int32', read: (v, at, little) => v.getInt32(at, little) },
  u4: { bytes: 4, type: 'int64', read: (v, at, little) => BigInt(v.getUint32(at, little)) },
  i8: { bytes: 8, type: 'int64', read: (v, at, little) => v.getBigInt64(at, little) },
  u8: { bytes: 8, type: 'int64', read: (v, at, little) => v.getBigUint64(at, little) },
  f2: { bytes: 2, type: 'float32', read: (v, at, little) => halfToNumber(v.getUint16(at, little)) },
  f4: { bytes: 4, type: 'float32', read: (v, at, little) => v.getFloat32(at, little) },
  f8: { bytes: 8, type: 'float64', read: (v, at, little) => v.getFloat64(at, little) },
};

const arrays: { readonly [T in TensorType]: new (length: number) => TensorArrays[T] } = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};
const descriptors: Readonly<Record<TensorType, string>> = {
  float32: '<f4',
  float64: '<f8',
  int64: '<i8',
  int32: '<i4',
  uint8: '|u1',
  bool: '|b1',
};
const littleEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const mostDims = 64;
const longestHeader = 2 ** 20;
const magic = Uint8Array.of(0x93, ...new TextEncoder().encode('NUMPY'));

/** The tensor in a `.npy` file. Any problem is one `INVALID_IMAGE` sentence that names the file. */
export async function readNpy(path: string): Promise<Tensor> {
  text('path', path, 'the path of a .npy file');
  const bytes = await readBytes(path, (reason) => malformed(path, reason));
  return parseNpy(bytes, path);
}

/** The tensor in the bytes of a `.npy` file; the numbers are copied. `name` is what messages call it. */
export function parseNpy(bytes: Uint8Array, name = 'the tensor'): Tensor {
  const { descriptor, fortran, dims, offset } = parseNpyHeader(bytes, name);
  const element = elements[descriptor.slice(1)];
  if (!element || !'<>|='.includes(descriptor[0]))
    throw malformed(
      name,
      `its element type is ${show(descriptor)}, and only numbers of 1 to 8 bytes are read`,
    );
  const size = sizeOf(dims);
  const expected = size * element.bytes;
  const there = bytes.length - offset;
  if (there < expected)
    throw malformed(
      name,
      `the file ends too early: dims ${show(dims)} of ${descriptor} need ${expected} bytes, and it holds ${there}`,
    );
  const little = descriptor[0] === '>' ? false : descriptor[0] === '<' || littleEndianHost;
  let data = allocate(element.type, size, name);
  if (little === littleEndianHost && data.BYTES_PER_ELEMENT === element.bytes && descriptor[1] !== 'b') {
    new Uint8Array(data.buffer).set(bytes.subarray(offset, offset + expected));
  } else {
    const view = new DataView(bytes.buffer, bytes.byteOffset + offset, expected);
    for (let i = 0; i < size; i++) data[i] = element.read(view, i * element.bytes, little) as never;
  }
  if (descriptor.endsWith('u8') && (data as BigInt64Array).some((value) => value < 0n))
    throw malformed(name, 'it holds unsigned numbers of 2⁶³ or more');
  if (fortran && dims.length > 1) data = fromFortran(data, dims) as typeof data;
  return { type: element.type, dims, data };
}

function allocate<T extends TensorType>(type: T, size: number, name: string): TensorArrays[T] {
  try {
    return new arrays[type](size);
  } catch (cause) {
    throw malformed(name, `its ${size} numbers do not fit into memory as ${type}`, cause);
  }
}

/** The bytes of a `.npy` file. `data` must fill `dims`; a scalar has dims []. */
export function encodeNpy(tensor: Tensor): Uint8Array {
  const [header, numbers] = npyParts(tensor);
  const bytes = new Uint8Array(header.length + numbers.length);
  bytes.set(header);
  bytes.set(numbers, header.length);
  return bytes;
}

/** The same as what is before the numbers, and the numbers, which are not copied. */
export function npyParts(tensor: Tensor): [header: Uint8Array, numbers: Uint8Array] {
  const { type, dims, data } = Object(tensor) as Tensor;
  oneOf('type', type, Object.keys(arrays));
  if (!(data instanceof arrays[type])) throw invalid('data', `a ${arrays[type].name}`, data);
  if (!Array.isArray(dims) || data.length !== sizeOf(dims))
    throw invalid('dims', `a list of dims that ${data.length} elements fill`, dims);
  const numbers = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return [npyHeader(type, dims), littleEndianHost ? numbers : swapped(numbers, data.BYTES_PER_ELEMENT)];
}

/** What is before the numbers, as NumPy writes it: of few dims 128 bytes, whatever they are. */
export function npyHeader(type: TensorType, dims: readonly number[]): Uint8Array {
  const shape = dims.length === 1 ? `(${dims[0]},)` : `(${dims.join(', ')})`;
  const dictionary = `{'descr': '${descriptors[type]}', 'fortran_order': False, 'shape': ${shape}, }`;
  const length = Math.ceil((10 + dictionary.length + 1) / 64) * 64; // data begin on a multiple of 64
  const header = new Uint8Array(length).fill(0x20);
  header.set(magic);
  header.set([1, 0, (length - 10) & 0xff, (length - 10) >> 8], 6);
  new TextEncoder().encodeInto(dictionary, header.subarray(10));
  header[length - 1] = 0x0a;
  return header;
}

/** What stands before the numbers of a `.npy` file. */
export interface NpyHeader {
  /** NumPy's name of the element type, as `<f4`. */
  readonly descriptor: string;
  readonly fortran: boolean;
  readonly dims: number[];
  /** Where the numbers begin. */
  readonly offset: number;
}

/** @param bytes the beginning of the file, as much as its header has */
export function parseNpyHeader(bytes: Uint8Array, name: string): NpyHeader {
  const need = (end: number) => {
    if (bytes.length < end) throw malformed(name, 'the file ends too early');
  };
  if (magic.some((byte, i) => bytes[i] !== byte)) throw malformed(name, 'it does not begin like a .npy file');
  need(10);
  const version = bytes[6];
  if (version < 1 || version > 3)
    throw malformed(name, `its format version is ${version}.${bytes[7]}, and 1 to 3 are read`);
  const start = version === 1 ? 10 : 12;
  need(start);
  const view = new DataView(bytes.buffer, bytes.byteOffset, start);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > longestHeader)
    throw malformed(name, `its header has ${length} bytes, and at most ${longestHeader} are read`);
  need(start + length);
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(
    bytes.subarray(start, start + length),
  );
  if (/'descr'\s*:\s*[[(]/.test(text))
    throw malformed(name, 'it holds records, and only plain numbers are read');
  const descriptor = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([^()]*)\)/.exec(text)?.[1];
  if (descriptor === undefined || order === undefined || shape === undefined || !/^\s*\{.*\}\s*$/s.test(text))
    throw malformed(name, 'its header is damaged');
  return { descriptor, fortran: order === 'True', dims: dimsOf(shape, name), offset: start + length };
}

/** What stands between the parentheses of a shape. */
function dimsOf(shape: string, name: string): number[] {
  const items = shape.split(',').map((item) => item.trim());
  if (items.at(-1) === '') items.pop(); // (3,) and ()
  if (items.length > mostDims)
    throw malformed(name, `it has ${items.length} dims, and at most ${mostDims} are read`);
  const dims = items.map((item) => (/^\d+L?$/.test(item) ? Number.parseInt(item, 10) : Number.NaN));
  if (dims.some((dim) => !Number.isSafeInteger(dim)) || !Number.isSafeInteger(sizeOf(dims) * 8))
    throw malformed(name, `its dims ${show(`(${shape})`)} are impossible`);
  return dims;
}

/** First index fastest → last index fastest. */
function fromFortran(data: TensorArrays[TensorType], dims: readonly number[]): TensorArrays[TensorType] {
  const out = data.slice();
  const long = dims.filter((dim) => dim > 1); // others move nothing
  const strides: number[] = [];
  for (let axis = 0, stride = 1; axis < long.length; stride *= long[axis++]) strides.push(stride);
  const index = long.map(() => 0);
  for (let i = 0, from = 0; i < out.length; i++) {
    out[i] = data[from];
    for (let axis = long.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < long[axis]) break;
      from -= strides[axis] * long[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** The bytes of each number the other way round. */
function swapped(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.map((_, i) => bytes[i - (i % size) + (size - 1 - (i % size))]);
}

function malformed(name: string, reason: string, cause?: unknown): GradcamppError {
  return new GradcamppError('INVALID_IMAGE', `${JSON.stringify(name)} cannot be read as .npy: ${reason}.`, {
    cause,
  });
}
