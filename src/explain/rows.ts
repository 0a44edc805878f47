import type { Row } from '../targets/target.js';
import { sizeOf, type Tensor } from '../tensor.js';

/** Values of one picture; 0 where dims are only known when the network runs. */
export function rowSize(dims: readonly (number | string)[]): number {
  const rest = dims.slice(1);
  return rest.every((dim): dim is number => typeof dim === 'number') ? sizeOf(rest) : 0;
}

/** The rows of an output, of whatever float type, one a picture. An output without a batch axis is the row of the only picture. */
export function rowsOf({ data, dims }: Tensor, images: number): Row[] {
  const hasBatch =
    dims.length > 0 && dims[0] === images && !(images === 1 && dims.length === 1 && data.length > 1);
  const own = hasBatch ? dims.slice(1) : dims;
  const size = data.length / images;
  return Array.from({ length: images }, (_, n) => ({
    data: (data as Float32Array).slice(n * size, (n + 1) * size),
    dims: own.length === 0 ? [1] : own,
  }));
}
