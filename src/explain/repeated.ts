import type { Dim, Graph } from '../graph/graph.js';
import type { Layout } from '../graph/tokens.js';
import { sizeOf, type Tensor } from '../tensor.js';

/** Where a value counts pictures: an axis, which may count the steps of clips too. */
export type PictureAxis = Pick<Layout, 'batchAxis' | 'folded'>;

/** One picture's part of a value, `count` times. */
export function repeated(
  tensor: Tensor,
  { batchAxis: axis, folded }: PictureAxis,
  image: number,
  count: number,
): Tensor {
  const { type, dims } = tensor;
  const source = tensor.data as Float32Array;
  const steps = folded?.count ?? 1;
  const inner = sizeOf(dims.slice(axis + 1)) * (folded?.isInner ? steps : 1);
  const outer = sizeOf(dims.slice(0, axis)) * (folded?.isInner ? 1 : steps);
  const images = dims[axis] / steps;
  const data = new (source.constructor as new (length: number) => Float32Array)(outer * count * inner);
  for (let o = 0; o < outer; o++) {
    const from = (o * images + image) * inner;
    const part = source.subarray(from, from + inner);
    for (let i = 0; i < count; i++) data.set(part, (o * count + i) * inner);
  }
  return { type, dims: dims.with(axis, count * steps), data } as Tensor;
}

/**
 * Where the values of a graph count pictures, as far as that is certain: at the one axis that has the symbol of N, or none, where
 * nothing but N has one in the inputs. null: the value has none, so it is the same for all; undefined: that cannot be told.
 */
export function certainAxes(
  { inputs }: Graph,
  N: Dim | undefined,
): (dims: readonly Dim[] | undefined) => PictureAxis | null | undefined {
  const isNamed = (dim: Dim) => typeof dim !== 'number';
  const isOnly = inputs.every(({ dims = [''] }) => dims.filter(isNamed).every((dim) => dim === N));
  return (dims) => {
    if (!dims || typeof N !== 'string' || N === '') return undefined;
    const axis = dims.findIndex(isNamed);
    if (axis < 0) return null;
    const isN = dims[axis] === N || (dims[axis] === '' && isOnly);
    return isN && dims.findLastIndex(isNamed) === axis ? { batchAxis: axis } : undefined;
  };
}
