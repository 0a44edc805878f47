import { GradcamppError } from '../errors.js';
import { isPicture, type Layout, unfolded } from '../graph/tokens.js';
import { sizeOf } from '../tensor.js';

/** A value that is explained, and how it is laid out; a picture or the input as it is where nothing is said. */
export interface Wanted {
  readonly name: string;
  readonly layout?: Layout;
}

/** Numbers with their dims. */
interface Values {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** Whether a value of these dims is [N, K, ...grid] as it is. */
export function isLaidOut({ layout }: Wanted, dims: readonly number[]): boolean {
  return !layout || isPicture(layout, dims.length);
}

/** A value as methods see it, [N, K, ...grid]. What is a picture is not copied. */
export function laidOut(values: Values, wanted: Wanted): Values {
  const { name, layout } = wanted;
  if (!layout || isLaidOut(wanted, values.dims)) return values;
  const { images, channels, grid, imageStep, channelStep, offsets } = placesOf(values.dims, layout, name);
  const { data } = values;
  const count = offsets.length;
  const result = new Float32Array(images * channels * count);
  for (let n = 0, at = 0; n < images; n++)
    for (let k = 0; k < channels; k++, at += count) {
      const from = n * imageStep + k * channelStep;
      for (let cell = 0; cell < count; cell++) result[at + cell] = data[from + offsets[cell]];
    }
  return { data: result, dims: [images, channels, ...grid] };
}

/** Pictures [N, K, ...grid] in the places of a value as the network has it; class token and registers stay what they are. */
export function putBack<T extends Values>(pictures: Float32Array, into: T, { name, layout }: Wanted): T {
  if (!layout) throw new RangeError(`"${name}" has no layout`);
  const { images, channels, imageStep, channelStep, offsets } = placesOf(into.dims, layout, name);
  const count = offsets.length;
  for (let n = 0, at = 0; n < images; n++)
    for (let k = 0; k < channels; k++, at += count) {
      const to = n * imageStep + k * channelStep;
      for (let cell = 0; cell < count; cell++) into.data[to + offsets[cell]] = pictures[at + cell];
    }
  return into;
}

/** The token of each cell of the grid, among so many. */
export function tokenCells(
  layout: Layout,
  tokens: number,
  name: string,
): { readonly grid: readonly number[]; readonly cells: Int32Array } {
  const { grid, offsets } = placesOf([1, tokens, 1], layout, name);
  return { grid, cells: offsets };
}

/** Where in a value each cell of the grid lies, for picture 0 and channel 0. */
interface Places {
  readonly images: number;
  readonly channels: number;
  readonly grid: readonly number[];
  readonly imageStep: number;
  readonly channelStep: number;
  readonly offsets: Int32Array;
}

const known = new WeakMap<Layout, Map<string, Places>>();

/** Computed once for a layout and dims. */
function placesOf(dims: readonly number[], layout: Layout, name: string): Places {
  const own = known.get(layout) ?? new Map<string, Places>();
  known.set(layout, own);
  const key = dims.join();
  const found = own.get(key) ?? findPlaces(dims, layout, name);
  own.set(key, found);
  return found;
}

function findPlaces(folded: readonly number[], as: Layout, name: string): Places {
  const { layout, dims } = unfolded(as, folded);
  const { batchAxis, channelAxis, prefix, suffix, digits } = layout;
  const steps = dims.map((_, i) => sizeOf(dims.slice(i + 1)));
  const axes = dims.flatMap((dim, i) => (i === batchAxis || i === channelAxis || dim === 1 ? [] : [i]));
  const last = axes.length - 1; // that of tokens, where class token and registers are before or behind the patches
  const sizes = axes.map((axis, i) => dims[axis] - (i === last ? prefix + suffix : 0));
  const count = sizeOf(sizes);
  const isGrid = sizes.length === layout.grid.length && !digits;
  const grid = isGrid ? sizes : tokenGrid(layout, count, name);
  const offsets = new Int32Array(count);
  for (let place = 0; place < count; place++) {
    let [offset, rest] = [prefix * (steps[axes[last]] ?? 0), place];
    for (let i = last; i >= 0; i--) {
      offset += (rest % sizes[i]) * steps[axes[i]];
      rest = Math.floor(rest / sizes[i]);
    }
    offsets[digits ? cellOf(place, digits, grid) : place] = offset;
  }
  return {
    images: dims[batchAxis],
    channels: dims[channelAxis],
    grid,
    imageStep: steps[batchAxis],
    channelStep: steps[channelAxis],
    offsets,
  };
}

/** Sizes of the grid of so many tokens; one that only the picture tells follows from the others. */
function tokenGrid({ grid, prefix, suffix }: Layout, count: number, name: string): number[] {
  const sizes = grid.filter((size): size is number => typeof size === 'number');
  const open = grid.length - sizes.length;
  const rest = count / sizeOf(sizes);
  if (open === 0 ? rest === 1 : open === 1 && Number.isInteger(rest) && rest > 0)
    return grid.map((size) => (typeof size === 'number' ? size : rest));
  throw new GradcamppError(
    'INVALID_LAYER',
    `Layer "${name}" has ${count + prefix + suffix} tokens, and its grid depends on the picture's size, so that it cannot be told from the model. Say it with "tokens" (--tokens HEIGHTxWIDTH+${prefix}).`,
  );
}

/** The cell, row by row, of a place whose number has these digits. */
function cellOf(place: number, digits: NonNullable<Layout['digits']>, grid: readonly number[]): number {
  const at = grid.map(() => 0);
  let rest = place;
  for (let i = digits.length - 1; i >= 0; i--) {
    const { axis, size, stride } = digits[i];
    at[axis] += (rest % size) * stride;
    rest = Math.floor(rest / size);
  }
  return at.reduce((cell, index, axis) => cell * grid[axis] + index, 0);
}
