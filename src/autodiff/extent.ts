import type { Name } from '../graph/builder.js';
import type { Pass } from './rule.js';

/** One dim of a shape that a rule writes: a number, or the dim that a value has along an axis when the model runs. */
export type Extent = number | { readonly of: Name; readonly axis: number };

/** A dim of a value: its number where that is known. */
export function extent(pass: Pass, name: Name, axis: number): Extent {
  if (!pass.hasRank(name)) return { of: name, axis };
  const dim = pass.dims(name)[axis];
  return typeof dim === 'number' ? dim : { of: name, axis };
}

/** Dims of a value from axis `start` to before `end`. */
export function extents(pass: Pass, name: Name, start = 0, end = pass.rank(name)): Extent[] {
  return Array.from({ length: Math.max(end - start, 0) }, (_, i) => extent(pass, name, start + i));
}

/** A list of dims as a value: a constant where all are numbers, else put together when the model runs. */
export function shapeFrom({ b }: Pass, items: readonly Extent[]): Name {
  const parts: Name[] = [];
  for (let i = 0; i < items.length; ) {
    const first = items[i];
    let end = i + 1;
    if (typeof first === 'number') {
      while (typeof items[end] === 'number') end++;
      parts.push(b.ints(items.slice(i, end) as number[]));
    } else {
      while (follows(items[end], first, end - i)) end++;
      parts.push(b.op('Shape', [first.of], { start: first.axis, end: first.axis + end - i }));
    }
    i = end;
  }
  if (parts.length === 0) return b.ints([]);
  return parts.length === 1 ? parts[0] : b.op('Concat', parts, { axis: 0 });
}

function follows(item: Extent | undefined, first: { of: Name; axis: number }, distance: number): boolean {
  return typeof item === 'object' && item.of === first.of && item.axis === first.axis + distance;
}

/**
 * The same values in other dims: 0 keeps the dim at its place, −1 is whatever remains. Where only one dim is
 * unknown it is that −1, so that nothing is computed when the model runs.
 */
export function reshapeTo(pass: Pass, value: Name, items: readonly Extent[]): Name {
  const unknown = items.filter((item) => typeof item !== 'number').length;
  const isFree = unknown === 1 && !items.includes(-1) && !items.includes(0);
  const target = isFree ? items.map((item) => (typeof item === 'number' ? item : -1)) : items;
  return pass.b.op('Reshape', [value, shapeFrom(pass, target)]);
}

/** Zeros (or another number) of the current float type in these dims. */
export function filled(pass: Pass, items: readonly Extent[], value = 0): Name {
  const { b } = pass;
  if (value === 0) return b.op('ConstantOfShape', [shapeFrom(pass, items)], { value: pass.zeroTensor() });
  return b.op('Expand', [b.scalar(value), shapeFrom(pass, items)]);
}

export function zerosLike(pass: Pass, name: Name): Name {
  return filled(pass, extents(pass, name));
}
