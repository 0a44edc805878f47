import { invalid } from '../check.js';
import { GradcamppError } from '../errors.js';
import { halfToNumber, sizeOf } from '../tensor.js';
import type { TensorProto } from './onnx_pb.js';
import { byteLength, DataType, typeName } from './types.js';

/** A tensor that the model carries: little-endian bytes, usually a view into the file, never copied. */
export interface Constant {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array;
  /** Of strings, whose `bytes` are empty. */
  readonly strings?: readonly Uint8Array[];
}

/** Dims that a tensor has at most. */
export const mostDims = 64;

/** The bytes of a stored tensor. `external` gives those that the model keeps in another file. */
export function constantOf(
  proto: TensorProto,
  external: (proto: TensorProto) => Uint8Array | undefined,
): Constant {
  const type = proto.dataType as DataType;
  if (proto.dims.length > mostDims)
    throw new GradcamppError(
      'INVALID_MODEL',
      `Tensor "${proto.name}" has ${proto.dims.length} dims; at most ${mostDims} are read.`,
    );
  const dims = proto.dims.map(Number);
  const count = sizeOf(dims);
  if (type === DataType.STRING && proto.stringData.length === count)
    return { type, dims, bytes: new Uint8Array(0), strings: proto.stringData };
  const expected = byteLength(type, count);
  if (expected === undefined || dims.some((dim) => dim < 0) || !Number.isSafeInteger(count))
    throw new GradcamppError(
      'INVALID_MODEL',
      `Tensor "${proto.name}" has type ${typeName(type)} and dims [${dims.join(', ')}], which cannot be read.`,
    );
  const bytes = external(proto) ?? (proto.rawData.length > 0 ? proto.rawData : fieldBytes(proto, type));
  if (bytes.byteLength !== expected)
    throw new GradcamppError(
      'INVALID_MODEL',
      `Tensor "${proto.name}" has ${bytes.byteLength} bytes of data; its dims [${dims.join(', ')}] of ${typeName(type)} need ${expected}. The file is damaged or incomplete.`,
    );
  return { type, dims, bytes };
}

/** Data in the typed fields (float_data, int32_data, ...), as older exporters write it. */
function fieldBytes(proto: TensorProto, type: DataType): Uint8Array {
  switch (type) {
    case DataType.FLOAT:
    case DataType.COMPLEX64:
      return bytesOf(Float32Array.from(proto.floatData));
    case DataType.DOUBLE:
    case DataType.COMPLEX128:
      return bytesOf(Float64Array.from(proto.doubleData));
    case DataType.INT64:
      return bytesOf(BigInt64Array.from(proto.int64Data));
    case DataType.UINT64:
      return bytesOf(BigUint64Array.from(proto.uint64Data));
    case DataType.UINT32:
      return bytesOf(Uint32Array.from(proto.uint64Data, Number));
    case DataType.INT32:
      return bytesOf(Int32Array.from(proto.int32Data));
    case DataType.INT16:
    case DataType.UINT16:
    case DataType.FLOAT16:
    case DataType.BFLOAT16:
      return bytesOf(Uint16Array.from(proto.int32Data));
    default:
      return Uint8Array.from(proto.int32Data);
  }
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** float32 values; other float types are converted. */
export function floatsOf(constant: Constant): Float32Array {
  switch (constant.type) {
    case DataType.FLOAT:
      return new Float32Array(...aligned(constant.bytes, 4));
    case DataType.DOUBLE:
      return Float32Array.from(new Float64Array(...aligned(constant.bytes, 8)));
    case DataType.FLOAT16:
      return Float32Array.from(new Uint16Array(...aligned(constant.bytes, 2)), halfToNumber);
    case DataType.BFLOAT16: {
      const words = Uint32Array.from(new Uint16Array(...aligned(constant.bytes, 2)), (half) => half << 16);
      return new Float32Array(words.buffer);
    }
    default:
      return Float32Array.from(numbersOf(constant));
  }
}

/** Values as numbers, for the small tensors that rules read: axes, pads, scales. int64 beyond 2^53 is clamped. */
export function numbersOf(constant: Constant): number[] {
  const { type, bytes } = constant;
  switch (type) {
    case DataType.INT64:
      return Array.from(new BigInt64Array(...aligned(bytes, 8)), clampToNumber);
    case DataType.UINT64:
      return Array.from(new BigUint64Array(...aligned(bytes, 8)), clampToNumber);
    case DataType.INT32:
      return Array.from(new Int32Array(...aligned(bytes, 4)));
    case DataType.UINT32:
      return Array.from(new Uint32Array(...aligned(bytes, 4)));
    case DataType.INT16:
      return Array.from(new Int16Array(...aligned(bytes, 2)));
    case DataType.UINT16:
      return Array.from(new Uint16Array(...aligned(bytes, 2)));
    case DataType.INT8:
      return Array.from(new Int8Array(...aligned(bytes, 1)));
    case DataType.UINT8:
    case DataType.BOOL:
      return Array.from(bytes);
    case DataType.DOUBLE:
      return Array.from(new Float64Array(...aligned(bytes, 8)));
    case DataType.FLOAT:
    case DataType.FLOAT16:
    case DataType.BFLOAT16:
      return Array.from(floatsOf(constant));
    default:
      throw invalid('tensor', 'of a numeric type', typeName(type), '', 'UNSUPPORTED_MODEL');
  }
}

export function floatConstant(values: ArrayLike<number>, dims: readonly number[]): Constant {
  const data = values instanceof Float32Array ? values : Float32Array.from(values);
  return { type: DataType.FLOAT, dims, bytes: bytesOf(data) };
}

export function int64Constant(
  values: readonly (number | bigint)[],
  dims: readonly number[] = [values.length],
): Constant {
  return { type: DataType.INT64, dims, bytes: bytesOf(BigInt64Array.from(values, toInt64)) };
}

/** "To the end" is written as the largest number there is, which a double rounds up to one more. */
export function toInt64(value: number | bigint): bigint {
  if (typeof value === 'bigint') return value;
  if (value >= 2 ** 63) return 2n ** 63n - 1n;
  return value <= -(2 ** 63) ? -(2n ** 63n) : BigInt(value);
}

export function boolConstant(values: readonly boolean[], dims: readonly number[]): Constant {
  return { type: DataType.BOOL, dims, bytes: Uint8Array.from(values, Number) };
}

function clampToNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

/** Arguments for a typed array over the bytes; a copy only where the file left them unaligned. */
function aligned(bytes: Uint8Array, width: number): [ArrayBuffer, number, number] {
  const source = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  return [source.buffer as ArrayBuffer, source.byteOffset, source.byteLength / width];
}
