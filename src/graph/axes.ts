import { numbersOf } from '../onnx/constant.js';
import { intAttribute, intsAttribute, stringAttribute } from './attributes.js';
import { isGlobalAverage, reducedAxes } from './channels.js';
import {
  type Axis,
  axisSize,
  digit,
  hasPlaces,
  type Item,
  isPlace,
  isSequence,
  type Kind,
  other,
  pictureRank,
  regrouped,
} from './digits.js';
import { is } from './facts.js';
import { type Dim, type Graph, type Node, valueInfo } from './graph.js';

/** What each axis of a value counts. */
export type Axes = readonly Axis[];

/** What the axes of places are called, by their number. */
export const placeKinds: Readonly<Record<number, readonly Kind[]>> = {
  1: ['column'],
  2: ['row', 'column'],
  3: ['time', 'row', 'column'],
};

/**
 * What the axes of every value count, as far as it follows from how it is made and read: operators on pictures say where
 * rows and columns are, and from there they are followed through Reshape, Transpose, Concat and the rest. A value whose axes
 * have no places in the picture is not in the result.
 */
export function findAxes(graph: Graph, image: string): ReadonlyMap<string, Axes> {
  const found = known.get(graph);
  if (found?.image === image) return found.axes;
  const axes = track(graph, image);
  known.set(graph, { image, axes });
  return axes;
}

/** Graphs are never changed in place. */
const known = new WeakMap<Graph, { readonly image: string; readonly axes: ReadonlyMap<string, Axes> }>();

function track(graph: Graph, image: string): ReadonlyMap<string, Axes> {
  const tracker = new Tracker(graph, image);
  for (let size = -1; size !== tracker.found.size; ) {
    size = tracker.found.size;
    for (const node of graph.nodes) tracker.forward(node);
    for (const node of graph.nodes.toReversed()) tracker.backward(node);
  }
  return tracker.found;
}

/** Whether some axis counts places in the picture. */
function areInformed(axes: Axes | undefined): axes is Axes {
  // An operator may name axes that its input, in a damaged file, does not have.
  return axes !== undefined && !axes.includes(undefined as never) && axes.some(hasPlaces);
}

class Tracker {
  readonly found = new Map<string, Axes>();
  readonly #graph: Graph;
  /** Axes of places of the picture: 2, or 1 of a signal, 3 of a clip. */
  readonly #rank: number;
  readonly #batch: Dim | undefined;

  constructor(graph: Graph, image: string) {
    this.#graph = graph;
    const { dims = [] } = valueInfo(graph, image);
    this.#rank = dims.length - 2;
    this.#batch = dims[0];
    const kinds = placeKinds[this.#rank];
    const channels = kinds && pictureChannels(graph, image);
    if (channels === undefined) return;
    const places = [...kinds];
    this.found.set(
      image,
      dims.map((dim, i) => {
        if (i === 0) return [digit('batch', dim)];
        return i === channels ? other(dim) : [digit(places.shift() as Kind, dim)];
      }),
    );
  }

  /** What is known of the first output's axes, from the inputs'. */
  forward(node: Node): void {
    const outputs = node.outputs.filter((name) => name && !this.found.has(name));
    for (const output of outputs) {
      const dims = this.#dimsOf(output);
      if (!dims) continue;
      const axes = this.#after(node, output, dims);
      if (axes && axes.length === dims.length && areInformed(axes))
        this.found.set(output, this.#batched(sized(axes, dims)));
    }
  }

  /** What the outputs' axes, and what reads a value, say of it. */
  backward(node: Node): void {
    const [input] = node.inputs;
    if (is(node, 'elementwise') || is(node, 'keepsLayout')) {
      const [output] = node.outputs;
      const axes = this.found.get(output);
      if (!axes) return;
      const axis = is(node, 'keepsLayout') ? from(intAttribute(node, 'axis', 0), axes.length) : undefined;
      for (const name of node.inputs)
        if (this.#isAlike(name, output, axis)) {
          const dims = this.#dimsOf(name) as readonly Dim[];
          const isOther = axis === undefined || dims[axis] === axisSize(axes[axis]) || !hasPlaces(axes[axis]);
          if (isOther)
            this.#learn(
              name,
              axes.map((own, i) => (hasPlaces(own) ? own : i === axis ? other(dims[i]) : own)),
            );
        }
      return;
    }
    if (!input) return;
    const dims = this.#dimsOf(input);
    const axes = this.found.get(node.outputs[0]);
    if (axes && node.opType === 'Transpose' && node.domain === '') {
      const perm = permutation(node, axes.length);
      this.#learn(
        input,
        axes.map((_, i) => axes[perm.indexOf(i)]),
      );
    } else if (axes && dims && is(node, 'onlyDims')) this.#learn(input, regrouped(axes, dims));
    else if (dims && (mixesPlaces(node, this.#graph) || isGlobalAverage(node, this.#graph)))
      this.#learn(input, this.#picture(dims));
  }

  /** A batch of one that was taken away, and is there again; or that is one with the frames of its only clip. */
  #batched(axes: Axes): Axes {
    const isOf = (kind: Kind) => (item: Item) => !isSequence(item) && item.kind === kind;
    const [first, ...others] = axes;
    if (this.#batch !== 1 || axes.some((axis) => axis.some(isOf('batch')))) return axes;
    if (first.length === 1 && first.every(isOf('time'))) return [[digit('batch', 1), ...first], ...others];
    return axisSize(first) === 1 ? [[digit('batch', 1)], ...others] : axes;
  }

  #learn(name: string, axes: Axes | undefined): void {
    if (this.found.has(name) || this.#graph.constants.has(name) || !areInformed(axes)) return;
    this.found.set(name, axes);
  }

  #dimsOf(name: string): readonly Dim[] | undefined {
    return valueInfo(this.#graph, name).dims;
  }

  /** Not a constant, a gate or a bias of smaller dims. */
  #isAlike(name: string, as: string, but?: number): boolean {
    const [a, b] = [name, as].map((value) => this.#dimsOf(value));
    return a !== undefined && a.length === b?.length && a.every((dim, i) => i === but || fits(dim, b[i]));
  }

  /** Not where parts of a picture, cut out of it, are pictures of a batch of their own: 24 · N of them. */
  #isBatch(dim: Dim): boolean {
    const batch = this.#batch ?? '';
    const isProduct = typeof dim === 'string' && dim !== batch && dim.split('*').includes(`${batch}`);
    return fits(dim, batch) && !isProduct;
  }

  /** [N, K, ...places], where there are as many axes of places as the network's pictures have. */
  #picture(dims: readonly Dim[], axes?: Axes): Axes | undefined {
    const rank = dims.length - 2;
    const kinds = rank === this.#rank || (rank === 2 && this.#rank === 3) ? placeKinds[rank] : undefined;
    if (!kinds || !(areInformed(axes) || this.#isBatch(dims[0]))) return undefined;
    const places = dims.slice(2).map((dim, i) => [digit(kinds[i], dim)]);
    return [axes?.[0] ?? [digit('batch', dims[0])], other(dims[1]), ...places];
  }

  /** What ONNX Runtime lays out in blocks for some processors, laid out as a picture again. */
  #reordered(node: Node, dims: readonly Dim[]): Axes | undefined {
    if (intAttribute(node, 'channels_last', 0) === 0) return this.#picture(dims);
    const [batch, channels, ...places] = this.#picture([dims[0], dims[3], dims[1], dims[2]]) ?? [];
    return batch && [batch, ...places, channels];
  }

  /** Axes of a value; of one of which nothing is known, with the batch first where it can be. */
  #axesOf(name: string): Axes {
    const known = this.found.get(name);
    if (known) return known;
    const dims = this.#dimsOf(name) ?? [];
    const isBatch = (i: number) =>
      i === 0 && dims.length > 1 && !this.#graph.constants.has(name) && this.#isBatch(dims[0]);
    return dims.map((dim, i) => (isBatch(i) ? [digit('batch', dim)] : other(dim)));
  }

  #after(node: Node, output: string, dims: readonly Dim[]): Axes | undefined {
    const graph = this.#graph;
    const { opType, domain, inputs } = node;
    const [input] = inputs;
    if (is(node, 'elementwise') || opType === 'Expand') return this.#broadcast(node, dims);
    if (is(node, 'spatial')) return this.#spatial(node, dims);
    if (domain === 'com.microsoft.nchwc' && opType === 'ReorderOutput') return this.#reordered(node, dims);
    if (domain !== '' || !input) return undefined;
    const axes = this.#axesOf(input);
    if (is(node, 'onlyDims')) return this.#moved(node, axes, dims);
    if (is(node, 'reduces')) {
      const gone = reducedAxes(node, graph);
      if (intAttribute(node, 'keepdims', 1) === 1)
        return gone && axes.map((axis, i) => (gone.includes(i) ? other(1) : axis));
      return gone && axes.filter((_, i) => !gone.includes(i));
    }
    switch (opType) {
      case 'Transpose':
        return permutation(node, axes.length).map((from) => axes[from]);
      case 'Concat':
        return this.#joined(node);
      case 'Split':
        return this.#split(node, axes, output);
      case 'Pad':
        return this.#padded(node, axes, dims);
      case 'Slice':
        return this.#sliced(node, axes, dims);
      case 'Gather':
        return this.#gathered(node, axes);
      case 'MatMul':
        return product(axes, this.#axesOf(inputs[1]));
      case 'Gemm': {
        const [a, b] = [axes, this.#axesOf(inputs[1])];
        const rows = a[intAttribute(node, 'transA', 0) === 1 ? 1 : 0];
        return [rows, b[intAttribute(node, 'transB', 0) === 1 ? 0 : 1]];
      }
      case 'Einsum':
        return this.#einsum(node);
      case 'Attention':
        return dims.length === axes.length ? [...axes.slice(0, -1), other(dims[dims.length - 1])] : undefined;
      default:
        return this.#keeps(node) && this.#isAlike(input, output) ? axes : undefined;
    }
  }

  #keeps(node: Node): boolean {
    return is(node, 'keepsLayout') || is(node, 'overAxis') || keepsAxes.has(node.opType);
  }

  /** Operands that are as large as the result say what its axes are; where none does, each axis that is as long. */
  #broadcast(node: Node, dims: readonly Dim[]): Axes | undefined {
    const operands = node.inputs
      .filter((name) => name && (node.opType !== 'Expand' || name === node.inputs[0]))
      .map((name) => this.#axesOf(name));
    const whole = operands.filter(
      (axes) => axes.length === dims.length && axes.every((axis, i) => fits(axisSize(axis), dims[i])),
    );
    const informed = whole.filter(areInformed);
    if (informed.length > 0) return agreed(informed);
    return dims.map((dim, i) => {
      const found = operands
        .map((axes) => axes[i - dims.length + axes.length])
        .filter((axis) => axis !== undefined && axisSize(axis) !== 1 && fits(axisSize(axis), dim));
      return found.find(hasPlaces) ?? found[0] ?? other(dim);
    });
  }

  /** Places stay what they are where an operator keeps their number; else a picture begins anew. */
  #spatial(node: Node, dims: readonly Dim[]): Axes | undefined {
    const axes = this.#axesOf(node.inputs[0]);
    const before = this.#dimsOf(node.inputs[0]);
    const isKept = areInformed(axes);
    if (before?.length !== dims.length) return undefined;
    const fresh = mixesPlaces(node, this.#graph) ? this.#picture(dims, axes) : undefined;
    if (node.opType.startsWith('Global')) return [...axes.slice(0, 2), ...dims.slice(2).map(other)];
    if (is(node, 'channelwise') && before.every((dim, i) => dim === dims[i])) return isKept ? axes : fresh;
    return dims.map((dim, i) => {
      if (i === 0) return axes[0];
      if (i === 1) return other(dim);
      if (isKept && before[i] === dim && dim !== '') return axes[i];
      return fresh?.[i] ?? other(dim);
    });
  }

  #moved(node: Node, axes: Axes, dims: readonly Dim[]): Axes | undefined {
    const given = this.#numbers(node.inputs[1]);
    if ((node.opType === 'Squeeze' || node.opType === 'Unsqueeze') && given) {
      const rank = node.opType === 'Squeeze' ? axes.length : dims.length;
      const at = new Set(given.map((axis) => from(axis, rank)));
      if (node.opType === 'Squeeze') return axes.filter((_, i) => !at.has(i));
      const rest = [...axes];
      return dims.map((_, i) => (at.has(i) ? other(1) : (rest.shift() ?? other(1))));
    }
    return regrouped(axes, dims);
  }

  #joined(node: Node): Axes | undefined {
    const operands = node.inputs.map((name) => this.#axesOf(name));
    const [first] = operands;
    if (operands.some((axes) => axes.length !== first.length)) return undefined;
    const axis = from(intAttribute(node, 'axis', 0), first.length);
    return first.map((own, i) => {
      if (i === axis) return chained(operands.map((axes) => axes[i]));
      return operands.map((axes) => axes[i]).find(hasPlaces) ?? own;
    });
  }

  #split(node: Node, axes: Axes, output: string): Axes | undefined {
    const axis = from(intAttribute(node, 'axis', 0), axes.length);
    const sizes = node.outputs.map((name) => this.#dimsOf(name)?.[axis]);
    const index = node.outputs.indexOf(output);
    const before = sizes.slice(0, index);
    const size = sizes[index];
    if (typeof size !== 'number' || !before.every((dim) => typeof dim === 'number')) return undefined;
    const start = before.reduce<number>((sum, dim) => sum + (dim as number), 0);
    return axes.map((own, i) => (i === axis ? section(own, start, start + size) : own));
  }

  /** A picture made larger; of other axes it is not known what lies where. */
  #padded(node: Node, axes: Axes, dims: readonly Dim[]): Axes {
    const [pads, at] = [1, 3].map((i) => this.#numbers(node.inputs[i]));
    const which = at ?? (node.inputs[3] ? undefined : axes.map((_, i) => i));
    return axes.map((axis, i) => {
      const k = which?.indexOf(i) ?? -2;
      if (k === -1 || (pads && k >= 0 && pads[k] === 0 && pads[k + pads.length / 2] === 0)) return axis;
      const [item] = axis;
      const isWhole =
        axis.length === 1 &&
        !isSequence(item) &&
        isPlace(item.kind) &&
        item.of === Number(item.size) * item.stride;
      return isWhole ? [digit(item.kind, dims[i])] : other(dims[i]);
    });
  }

  #numbers(name: string | undefined): readonly number[] | undefined {
    const constant = this.#graph.constants.get(name ?? '');
    return constant && numbersOf(constant);
  }

  #sliced(node: Node, axes: Axes, dims: readonly Dim[]): Axes | undefined {
    const [starts, ends, at, steps] = node.inputs.slice(1).map((name) => this.#numbers(name));
    const before = this.#dimsOf(node.inputs[0]);
    if (!starts || !ends || (node.inputs[3] && !at) || (node.inputs[4] && !steps))
      return axes.map((own, i) => (before?.[i] === dims[i] && dims[i] !== '' ? own : other(dims[i])));
    const which = (at ?? starts.map((_, i) => i)).map((axis) => from(axis, axes.length));
    return axes.map((own, i) => {
      const k = which.indexOf(i);
      if (k < 0) return own;
      return section(own, starts[k], ends[k], steps?.[k] ?? 1, dims[i]);
    });
  }

  #gathered(node: Node, axes: Axes): Axes | undefined {
    const axis = from(intAttribute(node, 'axis', 0), axes.length);
    const dims = this.#dimsOf(node.inputs[1]);
    if (!dims) return undefined;
    const indices = (dims.length === 1 && this.#numbers(node.inputs[1])) || [];
    const isRun = indices.length > 0 && indices.every((index, i) => index === indices[0] + i);
    const taken = isRun ? [section(axes[axis], indices[0], indices[0] + indices.length)] : dims.map(other);
    return [...axes.slice(0, axis), ...taken, ...axes.slice(axis + 1)];
  }

  #einsum(node: Node): Axes | undefined {
    const [from, to] = stringAttribute(node, 'equation', '').replaceAll(' ', '').split('->');
    const terms = from.split(',');
    if (to === undefined || from.includes('.') || to.includes('.')) return undefined;
    const operands = node.inputs.map((name) => this.#axesOf(name));
    return Array.from(to, (letter) => {
      const found = terms.flatMap((term, i) => {
        const axis = operands[i][term.indexOf(letter)];
        return term.includes(letter) && axis ? [axis] : [];
      });
      return found.find(hasPlaces) ?? found[0] ?? other('');
    });
  }
}

/** Operators beside those with a fact of it whose result is laid out as their first input. */
const keepsAxes = new Set([
  'CastLike', 'CumSum', 'DynamicQuantizeLinear', 'LayerNormalization', 'LpNormalization', 'MeanVarianceNormalization',
  'RMSNormalization', 'ScatterElements', 'ScatterND', 'Trilu',
]); // biome-ignore format: a list

/** Whether neighbours on the axes of places count, so that these are rows and columns: not so in 1 × 1 convolutions. */
export function mixesPlaces(node: Node, graph: Graph): boolean {
  if (!is(node, 'spatial') || (is(node, 'channelwise') && !is(node, 'derived'))) return false;
  if (node.opType !== 'Conv' && node.opType !== 'ConvTranspose') return true;
  const { dims } = valueInfo(graph, node.inputs[1]);
  const kernel = intsAttribute(node, 'kernel_shape') ?? dims?.slice(2);
  const strides = intsAttribute(node, 'strides');
  return !kernel?.every((size) => size === 1) || (strides?.some((step) => step !== 1) ?? false);
}

/** [..., i, k] and [..., k, j] → [..., i, j]. */
function product(a: Axes, b: Axes): Axes | undefined {
  if (a.length === 0 || b.length === 0) return undefined;
  if (b.length === 1) return a.slice(0, -1);
  if (a.length === 1) return [...b.slice(0, -2), ...b.slice(-1)];
  const [more, less] = a.length >= b.length ? [a, b] : [b, a];
  const outer = more.slice(0, -2).map((axis, i) => {
    const also = less.slice(0, -2)[i - (more.length - less.length)];
    if (!also) return axis;
    return [axis, also].find(hasPlaces) ?? (axisSize(axis) === 1 ? also : axis);
  });
  return [...outer, a[a.length - 2], b[b.length - 1]];
}

/**
 * Operands of the same size: those that are pictures count before those of which fewer axes are known, and before others; if
 * they differ they say nothing together.
 */
function agreed(operands: readonly Axes[]): Axes | undefined {
  const most = Math.max(...operands.map(pictureRank));
  const [first, ...rest] = operands.filter((axes) => pictureRank(axes) === most);
  return rest.every((axes) => axes.every((axis, i) => isLike(axis, first[i]))) ? first : undefined;
}

function isLike(a: Axis, b: Axis): boolean {
  if (!hasPlaces(a) && !hasPlaces(b)) return true;
  return (
    a.length === b.length &&
    a.every((item, i) => {
      const same = b[i];
      if (isSequence(item) || isSequence(same))
        return isSequence(item) && isSequence(same) && item.parts.length === same.parts.length;
      return item.kind === same.kind && (item.size === same.size || item.kind === 'batch');
    })
  );
}

/** Axes one behind the other. Rows behind rows (what rolls a picture) are no rows any more. */
function chained(axes: readonly Axis[]): Axis {
  const parts: Axis[] = [];
  for (const axis of axes.flatMap((own) => (own.length === 1 && isSequence(own[0]) ? own[0].parts : [own]))) {
    const last = parts.at(-1);
    const both = last && !hasPlaces(last) && !hasPlaces(axis);
    if (both) parts[parts.length - 1] = other(sum(axisSize(last), axisSize(axis)));
    else parts.push(axis);
  }
  if (parts.length === 1) return parts[0];
  return [{ parts, size: parts.map(axisSize).reduce(sum) }];
}

function sum(a: Dim, b: Dim): Dim {
  return typeof a === 'number' && typeof b === 'number' ? a + b : '';
}

/** A part of an axis: whole parts of a sequence; every k-th place; or a picture cut smaller. */
function section(axis: Axis, start: number, end: number, step = 1, given: Dim = ''): Axis {
  const size = axisSize(axis);
  const [item] = axis;
  const isToEnd = typeof size === 'number' ? end >= size : end >= 2 ** 31 - 1;
  if (start === 0 && isToEnd && step === 1) return axis;
  const { lo, hi } = bounded(start, isToEnd ? Number.POSITIVE_INFINITY : end, size);
  if (axis.length === 1 && isSequence(item) && step === 1) {
    const parts = partsBetween(item.parts, lo, hi);
    if (parts) return chained(parts);
  }
  const length =
    typeof size === 'number' && step > 0 ? Math.max(0, Math.ceil((Math.min(hi, size) - lo) / step)) : given;
  if (axis.length !== 1 || isSequence(item) || !isPlace(item.kind) || typeof size !== 'number')
    return other(length);
  if (step > 1) {
    const isEvery = lo < step && size % step === 0 && hi >= size;
    return isEvery ? [{ ...item, size: length, stride: item.stride * step }] : other(length);
  }
  return step === 1 && item.of === size * item.stride ? [digit(item.kind, length)] : other(length);
}

/** Bounds counted from the front, NaN where that is not known. */
function bounded(start: number, end: number, size: Dim): { lo: number; hi: number } {
  const at = (index: number) => (index < 0 ? Math.max(0, index + Number(size || Number.NaN)) : index);
  return { lo: at(start), hi: at(end) };
}

/** The parts of a sequence between two bounds; undefined where one lies within the places. */
function partsBetween(parts: readonly Axis[], lo: number, hi: number): Axis[] | undefined {
  const taken: Axis[] = [];
  let at = 0;
  for (const [i, part] of parts.entries()) {
    const size = axisSize(part);
    if (typeof size !== 'number')
      return lo <= at && hi === Number.POSITIVE_INFINITY ? [...taken, ...parts.slice(i)] : undefined;
    const own = Math.min(hi, at + size) - Math.max(lo, at);
    if (Number.isNaN(own) || (own > 0 && own < size && hasPlaces(part))) return undefined;
    if (own > 0) taken.push(own === size ? part : other(own));
    at += size;
  }
  return taken.length > 0 ? taken : undefined;
}

function fits(a: Dim, b: Dim): boolean {
  return a === b || typeof a === 'string' || typeof b === 'string';
}

/** Sizes that only the value itself tells: the number of class tokens behind a computed Expand. */
function sized(axes: Axes, dims: readonly Dim[]): Axes {
  return axes.map((axis, i) => {
    const dim = dims[i];
    if (typeof dim !== 'number' || axisSize(axis) === dim || axis.length !== 1) return axis;
    const [item] = axis;
    if (!isSequence(item)) return item.kind === 'other' ? other(dim) : axis;
    const unknown = item.parts.filter((part) => typeof axisSize(part) !== 'number');
    const known = item.parts.reduce((total, part) => total + (Number(axisSize(part)) || 0), 0);
    if (unknown.length !== 1 || hasPlaces(unknown[0]) || known >= dim) return axis;
    return [
      { parts: item.parts.map((part) => (part === unknown[0] ? other(dim - known) : part)), size: dim },
    ];
  });
}

function from(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function permutation(node: Node, rank: number): readonly number[] {
  return intsAttribute(
    node,
    'perm',
    Array.from({ length: rank }, (_, i) => rank - 1 - i),
  );
}

/** Which axis of the picture holds its channels: the second of what the first operator on pictures reads; else a short one. */
function pictureChannels(graph: Graph, image: string): number | undefined {
  const { dims = [] } = valueInfo(graph, image);
  const isShort = (dim: Dim) => typeof dim === 'number' && dim <= 4;
  const guessed = isShort(dims[1]) ? 1 : isShort(dims[dims.length - 1]) ? dims.length - 1 : undefined;
  return readChannels(graph, image) ?? guessed;
}

/** Which axis of the picture the first operator on pictures reads as channels; undefined where none says it. */
export function readChannels(graph: Graph, image: string): number | undefined {
  const { dims = [] } = valueInfo(graph, image);
  const orders = new Map([[image, dims.map((_, i) => i)]]);
  for (const node of graph.nodes) {
    const order = orders.get(node.inputs.find((name) => orders.has(name)) ?? '');
    if (!order) continue;
    if (is(node, 'spatial')) return order[1];
    const [output] = node.outputs;
    const { dims: own } = valueInfo(graph, output);
    if (is(node, 'elementwise') || node.opType === 'Pad') orders.set(output, order);
    // The frames of all clips one behind the other, as pictures.
    else if (
      is(node, 'onlyDims') &&
      own?.length === order.length - 1 &&
      own.slice(1).every((dim, i) => dim === dims[order[i + 2]])
    )
      orders.set(output, [order[0], ...order.slice(2)]);
    else if (node.opType === 'Transpose')
      orders.set(
        output,
        permutation(node, dims.length).map((axis) => order[axis]),
      );
  }
  return undefined;
}
