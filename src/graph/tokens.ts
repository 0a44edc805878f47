import { sizeOf } from '../tensor.js';
import { type Axes, placeKinds } from './axes.js';
import {
  type Axis,
  axisSize,
  type Digit,
  hasPlaces,
  type Item,
  isPlace,
  isSequence,
  type Kind,
  wholeOf,
} from './digits.js';
import { type Dim } from './graph.js';

/**
 * How a value is laid out as a picture [N, K, ...grid]: tokens [N, T, C] in row order, class token and registers before or
 * behind them, channels last [N, h, w, C], pictures of the frames of clips [N · T, K, h, w], or a picture as it is.
 */
export interface Layout {
  readonly batchAxis: number;
  readonly channelAxis: number;
  /** Tokens before the patches, and behind them: dropped. */
  readonly prefix: number;
  readonly suffix: number;
  /** Sizes of the grid, [w], [h, w] or [t, h, w]; names or '' where only the value itself tells. */
  readonly grid: readonly Dim[];
  /** Where the places come in another order than row by row: the digits of their number, the most significant first. */
  readonly digits?: readonly GridDigit[];
  /** Where the batch axis counts the steps of a clip too, N · T: how many there are, and whether those of one clip follow each other. */
  readonly folded?: { readonly count: number; readonly isInner: boolean };
}

/** A digit of a place's number: steps of `stride` along an axis of the grid. */
export interface GridDigit {
  readonly axis: number;
  readonly size: number;
  readonly stride: number;
}

/** What a user says of tokens whose grid cannot be told. */
export interface TokenGrid {
  /** [h, w], or [w] of a signal, [t, h, w] of a clip. */
  readonly grid: readonly number[];
  /** Tokens before the patches: class token, distillation token, registers. Default 0. */
  readonly prefix?: number;
  /** Tokens behind them, such as those of detected objects. Default 0. */
  readonly suffix?: number;
}

/** Whether a value is [N, K, ...places] already. */
export function isPicture(
  { batchAxis, channelAxis, prefix, suffix, grid, digits }: Layout,
  rank: number,
): boolean {
  const isPlain = batchAxis === 0 && channelAxis === 1 && digits === undefined;
  return isPlain && prefix === 0 && suffix === 0 && rank === grid.length + 2;
}

/**
 * The layout of a value with these axes: one for the batch, one for the channels, and every place of the picture once.
 *
 * @param rank axes of places of the network's pictures
 */
export function layoutOf(axes: Axes, rank: number): Layout | undefined {
  const folded = foldedBatch(axes);
  if (folded) {
    const { batchAxis: at } = folded;
    const apart = layoutOf(
      [...axes.slice(0, at), ...axes[at].map((item) => [item]), ...axes.slice(at + 1)],
      rank,
    );
    return apart && { ...apart, channelAxis: apart.channelAxis - Number(apart.channelAxis > at), ...folded };
  }
  const kinds = placeKinds[rank];
  const isBatch = (axis: Axis) => axis.length === 1 && isDigit(axis[0], 'batch');
  const batchAxis = axes.findIndex(isBatch);
  const others = axes.flatMap((axis, i) => (i === batchAxis || hasPlaces(axis) ? [] : [i]));
  const wide = others.filter((i) => axisSize(axes[i]) !== 1);
  const rest = wide.length > 0 ? wide : others; // one channel is one too
  const placed = axes.filter(hasPlaces);
  if (batchAxis < 0 || rest.length !== 1 || placed.length === 0) return undefined;
  const [channelAxis] = rest;
  const isCount = typeof axisSize(axes[channelAxis]) === 'number';
  const last = placed.at(-1);
  const tokens = last && patchesOf(last);
  if (!isCount || !tokens) return undefined;
  const found = gridOf([...placed.slice(0, -1).flat(), ...tokens.patches], kinds);
  return found && { batchAxis, channelAxis, prefix: tokens.prefix, suffix: tokens.suffix, ...found };
}

function isDigit(item: Item, kind: Kind): item is Digit {
  return !isSequence(item) && item.kind === kind;
}

/**
 * The axis that counts the clips of a batch and the steps of each, in networks that run one of pictures on every frame;
 * undefined where they have axes of their own, or it is not known how many steps there are.
 */
export function foldedBatch(axes: Axes): Required<Pick<Layout, 'batchAxis' | 'folded'>> | undefined {
  const batchAxis = axes.findIndex(
    (axis) => axis.length === 2 && axis.some((item) => isDigit(item, 'batch')),
  );
  if (batchAxis < 0) return undefined;
  const [first, second] = axes[batchAxis];
  const isInner = isDigit(first, 'batch');
  const time = isInner ? second : first;
  if (!isDigit(time, 'time') || typeof time.size !== 'number') return undefined;
  return { batchAxis, folded: { count: time.size, isInner } };
}

/** A value, and its layout, with an axis of its own for the steps of clips; unchanged where they have one. */
export function unfolded<D extends Dim>(
  layout: Layout,
  dims: readonly D[],
): { readonly layout: Layout; readonly dims: (D | number)[] } {
  const { folded, batchAxis: at, channelAxis, ...rest } = layout;
  if (!folded) return { layout, dims: [...dims] };
  const { count, isInner } = folded;
  const clips = typeof dims[at] === 'number' ? dims[at] / count : dims[at];
  return {
    layout: {
      ...rest,
      batchAxis: isInner ? at : at + 1,
      channelAxis: channelAxis > at ? channelAxis + 1 : channelAxis,
    },
    dims: [...dims.slice(0, at), ...(isInner ? [clips, count] : [count, clips]), ...dims.slice(at + 1)],
  };
}

/** The patches among an axis of tokens, and how many tokens are before and behind them. */
function patchesOf(axis: Axis): { prefix: number; suffix: number; patches: Axis } | undefined {
  const [item] = axis;
  if (axis.length !== 1 || !isSequence(item)) return { prefix: 0, suffix: 0, patches: axis };
  const at = item.parts.findIndex(hasPlaces);
  const [before, behind] = [item.parts.slice(0, at), item.parts.slice(at + 1)].map((parts) =>
    parts
      .map(axisSize)
      .reduce<Dim>((sum, size) => (typeof sum === 'number' && typeof size === 'number' ? sum + size : ''), 0),
  );
  if (typeof before !== 'number' || typeof behind !== 'number' || item.parts.slice(at + 1).some(hasPlaces))
    return undefined;
  return { prefix: before, suffix: behind, patches: item.parts[at] };
}

/** The grid that digits count, each place once. */
function gridOf(items: Axis, kinds: readonly Kind[]): Pick<Layout, 'grid' | 'digits'> | undefined {
  if (!items.every((item): item is Digit => !isSequence(item) && isPlace(item.kind))) return undefined;
  const digits = items as readonly Digit[];
  const whole = kinds.map((kind) => wholeOf(digits.filter((digit) => digit.kind === kind)));
  if (whole.some((axis) => axis === undefined) || digits.some(({ kind }) => !kinds.includes(kind)))
    return undefined;
  const axes = whole as { size: Dim; unit: number }[];
  const grid = axes.map(({ size }) => size);
  const inOrder = digits.length === kinds.length && digits.every(({ kind }, i) => kind === kinds[i]);
  if (inOrder) return { grid };
  if (digits.some(({ size }) => typeof size !== 'number')) return undefined;
  return {
    grid,
    digits: digits.map(({ kind, size, stride }) => {
      const axis = kinds.indexOf(kind);
      return { axis, size: size as number, stride: stride / axes[axis].unit };
    }),
  };
}

/**
 * The layout that a user's grid gives a value: [N, prefix + h · w + suffix, C], or [N, h, w, C] and [N, C, h, w] where only one
 * of them has the grid's sizes. Undefined where it does not fit.
 */
export function layoutBy(tokens: TokenGrid, dims: readonly Dim[]): Layout | undefined {
  const { grid, prefix = 0, suffix = 0 } = tokens;
  const channels = (axis: number) => typeof dims[axis] === 'number';
  if (dims.length === 3 && grid.length > 1) {
    const fits = (dims[1] === tokenCount(tokens) || typeof dims[1] === 'string') && channels(2);
    return fits ? { batchAxis: 0, channelAxis: 2, prefix, suffix, grid } : undefined;
  }
  if (dims.length !== grid.length + 2 || prefix + suffix !== 0) return undefined;
  const isGrid = (at: number) =>
    grid.every((size, i) => dims[at + i] === size || typeof dims[at + i] === 'string');
  const [first, last] = [isGrid(2) && channels(1), isGrid(1) && channels(dims.length - 1)];
  if (first === last) return undefined;
  return { batchAxis: 0, channelAxis: first ? 1 : dims.length - 1, prefix, suffix: 0, grid };
}

/** How many tokens there are. */
export function tokenCount({ grid, prefix = 0, suffix = 0 }: TokenGrid): number {
  return prefix + sizeOf(grid) + suffix;
}

/** As it is typed: `14x14+1`, `14x14+1+100` with tokens behind. */
export function showTokens({ grid, prefix = 0, suffix = 0 }: TokenGrid): string {
  const others = suffix > 0 ? `+${prefix}+${suffix}` : prefix > 0 ? `+${prefix}` : '';
  return `${grid.join('x')}${others}`;
}

/** Dims [N, K, ...grid] of a value that is laid out. */
export function laidOutDims(layout: Layout, dims: readonly Dim[]): Dim[] {
  const { batchAxis, channelAxis, grid } = unfolded(layout, dims).layout;
  const own = unfolded(layout, dims).dims;
  return [own[batchAxis], own[channelAxis], ...grid];
}

/** `14 × 14, 1 before` */
export function showLayout({ prefix, suffix, grid }: Layout): string {
  const sizes = grid.map((size) => size || '?').join(' × ');
  return [sizes, prefix > 0 && `${prefix} before`, suffix > 0 && `${suffix} behind`]
    .filter(Boolean)
    .join(', ');
}
