import type { Builder, Name } from '../graph/builder.js';
import type { Dim } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import { isPicture, unfolded } from '../graph/tokens.js';
import { GradcamppError } from '../errors.js';

/** A value with the dims of a layer, laid out as [N, K, ...grid], as nodes. */
export function layoutNodes(b: Builder, given: Name, layer: Pick<Layer, 'name' | 'shape' | 'layout'>): Name {
  if (isPicture(layer.layout, layer.shape.length)) return given;
  const { layout, dims: shape } = unfolded(layer.layout, layer.shape);
  const value = layer.layout.folded ? b.reshape(given, numbersOf(shape, layer)) : given;
  const { batchAxis, channelAxis, prefix, suffix, digits } = layout;
  const places = shape.flatMap((dim, i) => (i === batchAxis || i === channelAxis || dim === 1 ? [] : [i]));
  const ones = shape.flatMap((dim, i) => (i === batchAxis || i === channelAxis || dim !== 1 ? [] : [i]));
  const isCut = prefix > 0 || suffix > 0;
  const ends = b.ints([suffix > 0 ? -suffix : Number.MAX_SAFE_INTEGER]);
  const patches = isCut ? b.op('Slice', [value, b.ints([prefix]), ends, b.ints(places.slice(-1))]) : value;
  const first = b.transpose(patches, [batchAxis, channelAxis, ...places, ...ones]);
  const grid = numbersOf(layout.grid, layer);
  if (!digits) {
    const isGrid = places.length === grid.length && ones.length === 0;
    return isGrid ? first : b.reshape(first, [0, 0, ...grid]);
  }
  const apart = b.reshape(first, [0, 0, ...digits.map(({ size }) => size)]);
  const order = digits
    .map(({ axis, stride }, i) => ({ axis, stride, i }))
    .sort((x, y) => x.axis - y.axis || y.stride - x.stride);
  return b.reshape(b.transpose(apart, [0, 1, ...order.map(({ i }) => i + 2)]), [0, 0, ...grid]);
}

/** Sizes of the grid for a Reshape: one that only the picture tells is what is left. */
function numbersOf(
  grid: readonly Dim[],
  { name, layout, shape }: Pick<Layer, 'name' | 'shape' | 'layout'>,
): number[] {
  const isToken = shape.length < grid.length + 2;
  if (isToken && grid.filter((size) => typeof size === 'string').length > 1)
    throw new GradcamppError(
      'INVALID_LAYER',
      `The grid of layer "${name}" depends on the picture's size, so that a file cannot hold it. Say it with "tokens" (--tokens HEIGHTxWIDTH+${layout.prefix}).`,
    );
  return grid.map((size) => (typeof size === 'number' ? size : -1));
}
