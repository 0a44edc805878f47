import type { Plain } from '../../graph/attributes.js';
import { alongAxis, identityMatrix } from '../axis.js';
import type { Name } from '../../graph/builder.js';
import { extent } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { item } from './shape.js';

/**
 * Resizing is linear, axis by axis. What each value adds to each new one comes from the operator itself, applied to
 * the identity matrix, whatever its mode: dX is dY times that matrix along each axis.
 */
export const resize: Rule = (pass) => {
  const { x } = pass;
  const rank = pass.rank(x[0]);
  const axes = pass.ints('axes')?.map((axis) => pass.axis(axis, rank)) ?? pass.dims(x[0]).map((_, i) => i);
  const changed = axes.flatMap((axis, i) => (isSame(pass, axis, i, axes.length) ? [] : [{ axis, i }]));
  const blocks = changed.map(({ axis, i }) => repeats(pass, axis, i));
  if (changed.length > 0 && changed.every(({ axis }, i) => axis >= 2 && blocks[i]))
    return [blockSums(pass, new Map(changed.map(({ axis }, i) => [axis, blocks[i] as number])))];
  let { dY } = pass;
  for (const { axis, i } of inOrderOfGain(pass, changed))
    dY = alongAxis(pass, dY, weights(pass, axis, i, axes), axis, rank);
  return [dY];
};

/** Axes that shrink most come first, so that the others have less to do. */
function inOrderOfGain(
  pass: Pass,
  changed: readonly { axis: number; i: number }[],
): { axis: number; i: number }[] {
  const gain = (axis: number) => {
    const [from, to] = [pass.dims(pass.x[0])[axis], pass.dims(pass.y[0])[axis]];
    return typeof from === 'number' && typeof to === 'number' ? from / to : 1;
  };
  return changed.toSorted((one, other) => gain(one.axis) - gain(other.axis));
}

/** Whether an axis keeps its values: scale 1, and no cropping. */
function isSame(pass: Pass, axis: number, i: number, count: number): boolean {
  if (pass.string('coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize') {
    const roi = pass.numbers(1);
    if (!roi || roi[i] !== 0 || roi[i + count] !== 1) return !roi && axis < 2;
  }
  const scales = pass.has(2) ? pass.numbers(2) : undefined;
  if (scales) return scales[i] === 1;
  const dim = pass.dims(pass.x[0])[axis];
  return pass.has(3) && policyOf(pass) === 'stretch' && dim !== '' && dim === pass.dims(pass.y[0])[axis];
}

function policyOf(pass: Pass): string {
  return pass.string('keep_aspect_ratio_policy', 'stretch');
}

/** How often every value is repeated, where nearest-neighbour enlargement comes to that. */
function repeats(pass: Pass, axis: number, i: number): number | undefined {
  const coordinates = pass.string('coordinate_transformation_mode', 'half_pixel');
  const rounding = pass.string('nearest_mode', 'round_prefer_floor');
  const isCentred =
    ['half_pixel', 'half_pixel_symmetric'].includes(coordinates) && rounding.startsWith('round');
  if (pass.string('mode', 'nearest') !== 'nearest') return undefined;
  if (!isCentred && !(coordinates === 'asymmetric' && rounding === 'floor')) return undefined;
  const [from, to] = [pass.dims(pass.x[0])[axis], pass.dims(pass.y[0])[axis]];
  const isStatic = typeof from === 'number' && typeof to === 'number';
  const scale = pass.numbers(2)?.[i] ?? (isStatic && policyOf(pass) === 'stretch' ? to / from : 0);
  return Number.isInteger(scale) && scale > 0 ? scale : undefined;
}

/** Sums over blocks: an average times their size. */
function blockSums(pass: Pass, blocks: ReadonlyMap<number, number>): Name {
  const { b, dY, x } = pass;
  const kernel = pass
    .dims(x[0])
    .slice(2)
    .map((_, i) => blocks.get(i + 2) ?? 1);
  const means = b.op('AveragePool', [dY], { kernel_shape: kernel, strides: kernel });
  return b.scale(
    means,
    kernel.reduce((product, k) => product * k, 1),
  );
}

/** The matrix [new values of dX, values of dY] of an axis. */
function weights(pass: Pass, axis: number, i: number, axes: readonly number[]): Name {
  const { b, x } = pass;
  const attributes: Record<string, Plain> = { axes: [3] };
  for (const [name, attribute] of pass.node.attributes)
    if (!['axes', 'extrapolation_value', 'keep_aspect_ratio_policy'].includes(name))
      attributes[name] = attribute;
  const identity = b.op('Unsqueeze', [identityMatrix(pass, extent(pass, x[0], axis)), b.ints([0, 1])]);
  const roi = pass.has(1) && pass.dims(x[1])[0] !== 0 ? pair(pass, x[1], i, axes.length) : undefined;
  const own = (list: Name) => item(pass, list, i);
  const resized = (image: Name, scales: Name | undefined, sizes: Name | undefined) =>
    b.op('Squeeze', [b.op('Resize', [image, roi, scales, sizes], attributes), b.ints([0, 1])]);
  if (pass.has(2)) return resized(identity, own(x[2]), undefined);
  if (policyOf(pass) === 'stretch') return resized(identity, undefined, own(x[3]));
  return withPolicy(pass, identity, axis, axes, attributes);
}

function pair(pass: Pass, list: Name, i: number, count: number): Name {
  return pass.b.op('Concat', [item(pass, list, i), item(pass, list, i + count)], { axis: 0 });
}

/**
 * One scale for all axes, that of the axis which needs the smallest (or largest). That axis stands in the identity's
 * pictures as a third one, constant along it, so that the operator finds the same scale.
 */
function withPolicy(
  pass: Pass,
  identity: Name,
  axis: number,
  axes: readonly number[],
  attributes: Record<string, Plain>,
): Name {
  const { b, x, y } = pass;
  const sizes = pass.numbers(3);
  if (!sizes) throw pass.unsupported('keeps the aspect ratio of sizes that are computed when the model runs');
  const from = pass.sizes(x[0]);
  const isSmallest = policyOf(pass) === 'not_larger';
  const scales = axes.map((each, i) => Math.fround(sizes[i] / from[each]));
  const scale = isSmallest ? Math.min(...scales) : Math.max(...scales);
  const binding = scales.indexOf(scale);
  const common = greatestDivisor(from[axes[binding]], sizes[binding]);
  const [height, newHeight] = [from[axes[binding]] / common, sizes[binding] / common];
  const to = pass.sizes(y[0])[axis];
  const loose = isSmallest ? to + 2 : Math.max(to - 2, 1);
  const [length] = [from[axis]];
  const pictures = b.op('Expand', [
    b.op('Unsqueeze', [b.op('Squeeze', [identity, b.ints([0, 1])]), b.ints([0, 2])]),
    b.ints([1, length, height, length]),
  ]);
  const resized = b.op('Resize', [pictures, undefined, undefined, b.ints([newHeight, loose])], {
    ...attributes,
    axes: [2, 3],
    keep_aspect_ratio_policy: policyOf(pass),
  });
  return b.op('Squeeze', [b.op('Slice', [resized, b.ints([0]), b.ints([1]), b.ints([2])]), b.ints([0, 2])]);
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
