import { sizeOf } from '../tensor.js';
import type { Dim } from './graph.js';

/** What an index counts: pictures of the batch, places in the picture, or anything else (channels, heads). */
export type Kind = 'batch' | 'time' | 'row' | 'column' | 'other';

/**
 * A digit of an index. An axis of tokens counts rows and columns in one, as 7 · row + column; windows count the high digit of
 * the row apart from the low one. Place p along a row axis of `of` places has the digit floor(p / stride) mod size.
 */
export interface Digit {
  readonly kind: Kind;
  readonly size: Dim;
  readonly stride: number;
  readonly of: Dim;
}

/** Axes one behind the other: class token, patches. */
export interface Sequence {
  readonly parts: readonly Axis[];
  readonly size: Dim;
}

export type Item = Digit | Sequence;

/** What an index along an axis is made of, the most significant digit first. */
export type Axis = readonly Item[];

export const isSequence = (item: Item): item is Sequence => 'parts' in item;

export function digit(kind: Kind, size: Dim): Digit {
  return { kind, size, stride: 1, of: size };
}

/** An axis of which nothing is known but its size. */
export function other(size: Dim): Axis {
  return [digit('other', size)];
}

export const isPlace = (kind: Kind): boolean => kind === 'time' || kind === 'row' || kind === 'column';

/** Whether an axis counts places in the picture, with other things or alone. */
export function hasPlaces(axis: Axis): boolean {
  return axis.some((item) => (isSequence(item) ? item.parts.some(hasPlaces) : isPlace(item.kind)));
}

/** The size of an axis; '' where it is not known, a name where one unknown digit has it. */
export function axisSize(axis: Axis): Dim {
  const sizes = axis.map(({ size }) => size).filter((size) => size !== 1);
  if (sizes.every((size) => typeof size === 'number')) return sizeOf(sizes as number[]);
  return sizes.length === 1 ? sizes[0] : '';
}

/** Digits that follow each other as one, and nothing of size 1 beside others. */
export function merged(items: Axis): Axis {
  const result: Item[] = [];
  for (const item of items) {
    if (item.size === 1 && !isSequence(item) && item.kind !== 'batch') continue;
    const last = result.at(-1);
    const both = last && join(last, item);
    if (both) result[result.length - 1] = both;
    else result.push(item);
  }
  return result.length === 0 ? (items.length > 0 ? [items[0]] : other(1)) : result;
}

function join(high: Item, low: Item): Digit | undefined {
  if (isSequence(high) || isSequence(low) || high.kind !== low.kind) return undefined;
  const { kind } = high;
  if (typeof high.size !== 'number' || typeof low.size !== 'number') return undefined;
  if (kind === 'other') return digit('other', high.size * low.size);
  if (high.of !== low.of || high.stride !== low.stride * low.size) return undefined;
  return { kind, size: high.size * low.size, stride: low.stride, of: low.of };
}

/** A digit as two, the lower one of `size`; undefined where that is no whole part of it. */
function divided(item: Item, size: number): { high: Digit; low: Digit } | undefined {
  if (isSequence(item) || typeof item.size !== 'number' || item.size % size !== 0) return undefined;
  const { kind, stride } = item;
  const high = item.size / size;
  if (kind === 'other') return { high: digit(kind, high), low: digit(kind, size) };
  return { high: { ...item, size: high, stride: stride * size }, low: { ...item, size } };
}

/**
 * The same digits, in order, over axes of other sizes: what Reshape does. Undefined where the sizes do not say which digit
 * goes where.
 */
export function regrouped(axes: readonly Axis[], dims: readonly Dim[]): Axis[] | undefined {
  const items = axes.flat();
  const result: Item[][] = dims.map(() => []);
  let [left, right] = [0, dims.length - 1];
  for (; right >= left && takeLast(items, dims[right], result[right]); right--);
  for (; left <= right && takeFirst(items, dims[left], result[left]); left++);
  if (left <= right) {
    const rest = partition(items, dims.slice(left, right + 1));
    if (!rest) return undefined;
    rest.forEach((own, i) => result[left + i].push(...own));
  } else if (items.some((item) => item.size !== 1)) return undefined;
  if (dims[0] === 1 && result[0].length === 0) result[0].push(...takeOne(result));
  return result.map((own, i) => (own.length === 0 ? other(dims[i]) : merged(own)));
}

/** A batch of one fits any axis of size 1, and beside any other digit: taken from where it fell, for the first axis. */
function takeOne(axes: Item[][]): Item[] {
  const isOne = (item: Item) => !isSequence(item) && item.kind === 'batch' && item.size === 1;
  for (const axis of axes) {
    const at = axis.findIndex(isOne);
    if (at >= 0) return axis.splice(at, 1);
  }
  return [];
}

/** Moves the last digits, of `dim` together, to an axis of that size. */
function takeLast(items: Item[], dim: Dim, to: Item[]): boolean {
  if (typeof dim === 'string') return takeNamed(items, items.length - 1, dim, to);
  if (dim === 1 && items.at(-1)?.size !== 1) return true;
  const taken: Item[] = [];
  let rest: number = dim;
  const given = [...items];
  do {
    const item = given.pop();
    if (!item || typeof item.size !== 'number') return false;
    if (rest % item.size === 0) {
      taken.unshift(item);
      rest /= item.size;
      continue;
    }
    const parts = divided(item, rest);
    if (!parts) return false;
    given.push(parts.high);
    taken.unshift(parts.low);
    rest = 1;
  } while (rest > 1);
  items.splice(0, items.length, ...given);
  to.push(...taken);
  return true;
}

/** The same from the front. */
function takeFirst(items: Item[], dim: Dim, to: Item[]): boolean {
  if (typeof dim === 'string') return takeNamed(items, 0, dim, to);
  if (dim === 1 && items[0]?.size !== 1) return true;
  const taken: Item[] = [];
  let rest: number = dim;
  const given = [...items];
  do {
    const item = given.shift();
    if (!item || typeof item.size !== 'number') return false;
    if (rest % item.size === 0) {
      taken.push(item);
      rest /= item.size;
      continue;
    }
    const parts = item.size % rest === 0 ? divided(item, item.size / rest) : undefined;
    if (!parts) return false;
    given.unshift(parts.low);
    taken.push(parts.high);
    rest = 1;
  } while (rest > 1);
  items.splice(0, items.length, ...given);
  to.push(...taken);
  return true;
}

/** A digit whose size has a name goes to an axis whose size has the same. */
function takeNamed(items: Item[], index: number, dim: string, to: Item[]): boolean {
  if (dim === '' || items[index]?.size !== dim) return false;
  to.push(...items.splice(index, 1));
  return true;
}

/** Digits of unknown size over axes of unknown size: the only way, or else the one that leaves the batch apart. */
function partition(items: readonly Item[], dims: readonly Dim[]): Item[][] | undefined {
  const ways = waysOf(items, dims);
  if (ways.length < 2) return ways[0];
  const apart = ways.filter(([[first, ...more]]) => first && more.length === 0 && isBatch(first));
  return apart.length === 1 ? apart[0] : undefined;
}

const isBatch = (item: Item) => !isSequence(item) && item.kind === 'batch';

function waysOf(items: readonly Item[], dims: readonly Dim[]): Item[][][] {
  const [dim, ...others] = dims;
  if (dims.length === 0) return items.length === 0 ? [[]] : [];
  const ways: Item[][][] = [];
  const least = dim === 1 ? 0 : 1;
  for (let count = least; count <= items.length && ways.length < 8; count++) {
    const own = items.slice(0, count);
    const size = axisSize(own);
    if (typeof dim === 'number' && typeof size === 'number' && size !== dim) continue;
    for (const rest of waysOf(items.slice(count), others)) ways.push([own, ...rest]);
  }
  return ways;
}

/** The axis that digits of one kind make up from the most significant on; `unit` is the step of the least significant. */
export function wholeOf(digits: readonly Digit[]): { size: Dim; unit: number } | undefined {
  const sorted = [...digits].sort((a, b) => b.stride - a.stride);
  const [first] = sorted;
  const last = sorted.at(-1);
  if (!first || !last) return undefined;
  if (sorted.length === 1 && first.stride === 1)
    return first.size === first.of ? { size: first.size, unit: 1 } : undefined;
  const isWhole = sorted.every(({ size, stride, of }, i) => {
    const above = i === 0 ? of : sorted[i - 1].stride;
    return typeof size === 'number' && above === size * stride;
  });
  return isWhole ? { size: sizeOf(sorted.map(({ size }) => size as number)), unit: last.stride } : undefined;
}

/** How many axes of one picture some axes count, each whole and once: 2 rows and columns, 1 rows alone; 0 where it is none. */
export function pictureRank(axes: readonly Axis[]): number {
  const placed = axes.flat().flatMap((item) => {
    if (!isSequence(item)) return [item];
    const parts = item.parts.filter(hasPlaces);
    return parts.length > 1 ? [undefined] : parts.flat();
  });
  const digits = placed.filter(
    (item): item is Digit => item !== undefined && !isSequence(item) && isPlace(item.kind),
  );
  const kinds = [...new Set(digits.map(({ kind }) => kind))];
  const isPicture =
    !placed.includes(undefined) &&
    kinds.every((kind) => wholeOf(digits.filter((own) => own.kind === kind)) !== undefined);
  return isPicture ? kinds.length : 0;
}
