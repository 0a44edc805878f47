/** Element types that cross our boundaries, by ONNX Runtime's names, with their typed arrays. */
export interface TensorArrays {
  float32: Float32Array;
  float64: Float64Array;
  int64: BigInt64Array;
  int32: Int32Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}
export type TensorType = keyof TensorArrays;

/** Dense numbers in row-major order; `dims` outermost first. */
export interface Tensor<T extends TensorType = TensorType> {
  readonly type: T;
  readonly dims: readonly number[];
  readonly data: TensorArrays[T];
}

/** A tensor in the memory of a GPU. */
export interface GpuTensor<T extends TensorType = TensorType> {
  readonly type: T;
  readonly dims: readonly number[];
  /** At least the tensor's bytes, from the buffer's start. */
  readonly buffer: GPUBuffer;
  /** Gives the buffer back; it must not be used afterwards. */
  release(): void;
}

/** How many elements dims describe: their product, 1 for a scalar. */
export function sizeOf(dims: readonly number[]): number {
  let size = 1;
  for (const dim of dims) size *= dim;
  return size;
}

/** Index of the first NaN or infinity, or -1. A float64 sum of float32 numbers is finite exactly where all are. */
export function firstNotFinite(data: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i];
  return Number.isFinite(sum) ? -1 : data.findIndex((value) => !Number.isFinite(value));
}

export function float32(data: Float32Array, dims: readonly number[]): Tensor<'float32'> {
  if (data.length !== sizeOf(dims))
    throw new RangeError(`${data.length} elements do not fill dims [${dims.join(', ')}]`);
  return { type: 'float32', dims, data };
}

/** The number that 16 bits of IEEE 754 stand for. */
export function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
