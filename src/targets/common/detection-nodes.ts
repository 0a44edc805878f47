import type { Builder, Name } from '../../graph/builder.js';
import type { BoxFormat } from './boxes.js';
import { boxFacts, type Layout, layoutOf } from './candidates.js';
import type { Plan } from './detection-layouts.js';
import { forAll, oneHot, unsqueezed } from './nodes.js';
import type { Box, GoalNodes, OutputNodes } from '../target.js';

/** What is asked of a detector inside a graph; one of `top`, `at` and `index`. */
export interface ObjectNodes {
  readonly plan: Plan;
  /** Channel of a class, the same in every picture; undefined: what each candidate says most of. */
  readonly class: number | undefined;
  readonly top: number;
  readonly at: Box | undefined;
  readonly index: number | undefined;
  /** Candidates that share more of their area are one object. */
  readonly mostOverlap: number;
}

/** What no picture has. */
const never = -1e30;

/**
 * Objects as nodes: what `find` does, for all pictures together. How scores are probabilities and numbers are boxes is looked up
 * in one picture of noise, where names and dims do not tell.
 */
export async function detectionNodes(
  b: Builder,
  output: OutputNodes,
  asked: ObjectNodes,
): Promise<GoalNodes[]> {
  const { plan } = asked;
  const { row, facts } = await output.probe();
  const layout = layoutOf(row, facts, plan);
  const matrix = matrixNodes(b, output.value, layout); // [N, channels, candidates]
  const found = plan.layout === 'end2end' ? ofChosen(b, matrix, asked) : ofAll(b, matrix, layout, asked);
  const boxes = () => cornersOf(b, { output, matrix, layout, plan, row, facts });
  return chosenCandidates(b, found.ranks, boxes, asked).map(({ index, isThere }) => {
    const at = oneHot(b, index, scalarDim(b, matrix, 2)); // [N, candidates]
    const { class: channel, slopes, label } = found.of(at);
    const seed = b.mul(b.mul(slopes, unsqueezed(b, at, 1)), isThere);
    const flag = b.op('Greater', [b.op('Squeeze', [isThere, b.ints([1, 2])]), b.zero()]);
    return {
      class: b.where(flag, b.add(channel, b.int(label)), b.int(-1)),
      seed: inOutput(b, seed, output.value, layout),
    };
  });
}

/** The candidates' values with the channels in front, [N, channels, candidates]. */
function matrixNodes(b: Builder, value: Name, { channels, isChannelsFirst }: Layout): Name {
  if (isChannelsFirst) return b.reshape(value, [0, channels, -1]);
  return b.transpose(b.reshape(value, [0, -1, channels]), [0, 2, 1]);
}

function inOutput(b: Builder, matrix: Name, value: Name, { isChannelsFirst }: Layout): Name {
  const own = isChannelsFirst ? matrix : b.transpose(matrix, [0, 2, 1]);
  return b.op('Reshape', [own, b.op('Shape', [value])]);
}

interface FoundNodes {
  /** What candidates are chosen by, [N, candidates]. */
  readonly ranks: Name;
  /** Of the candidate that is 1 in [N, candidates]: its class [N], and the slopes of its channels [N, channels, 1]. */
  readonly of: (at: Name) => { class: Name; slopes: Name; label: number };
}

/** All candidates of a detector. */
function ofAll(b: Builder, matrix: Name, layout: Layout, { class: named }: ObjectNodes): FoundNodes {
  const { first, classes, label, hasObjectness, by } = layout;
  const part = (values: Name, from: number, count: number) =>
    b.op('Slice', [values, b.ints([from]), b.ints([from + count]), b.ints([1])]);
  const share = (values: Name) => (by === 'sigmoid' ? b.op('Sigmoid', [values]) : values);
  const slope = (values: Name) =>
    by === 'sigmoid' ? b.mul(share(values), b.from(1, share(values))) : undefined;
  const raw = part(matrix, first, classes);
  const probabilities =
    by === 'softmax' ? part(b.op('Softmax', [matrix], { axis: 1 }), first, classes) : share(raw);
  const object = hasObjectness ? part(matrix, 4, 1) : undefined;
  const all = object ? b.mul(share(object), probabilities) : probabilities;
  const ranks = named === undefined ? b.op('ReduceMax', [all, b.ints([1])]) : part(all, named, 1);
  const gathered = (values: Name, at: Name) => b.reduceSum(b.mul(values, unsqueezed(b, at, 1)), [2]); // [N, …, 1]
  return {
    ranks: b.op('Squeeze', [ranks, b.ints([1])]),
    of: (at) => {
      const own = gathered(raw, at);
      const best =
        named === undefined
          ? b.op('ArgMax', [b.op('Squeeze', [own, b.ints([2])])], { axis: 1, keepdims: 0 })
          : forAll(b, named, matrix);
      const channel = unsqueezed(b, oneHot(b, b.add(best, b.int(first)), scalarDim(b, matrix, 1)), 2);
      if (!object) return { class: best, slopes: channel, label };
      const o = gathered(object, at);
      const s = b.reduceSum(b.mul(own, unsqueezed(b, oneHot(b, best, b.int(classes)), 2)), [1]);
      const isObject = unsqueezed(b, oneHot(b, b.ints([4]), scalarDim(b, matrix, 1)), 2);
      const times = (value: Name, factor: Name | undefined) => (factor ? b.mul(value, factor) : value);
      const slopes = b.add(
        b.mul(isObject, times(share(s), slope(o))),
        b.mul(channel, times(share(o), slope(s))),
      );
      return { class: best, slopes, label };
    },
  };
}

/** The few candidates that are left: corners, score, class. */
function ofChosen(b: Builder, matrix: Name, { class: named }: ObjectNodes): FoundNodes {
  const channel = (index: number) => b.op('Gather', [matrix, b.int(index)], { axis: 1 });
  const classes = b.op('Round', [channel(5)]);
  const isOwn = named === undefined ? undefined : b.asFloat(b.op('Equal', [classes, b.scalar(named)]));
  const scores = isOwn ? b.mul(channel(4), isOwn) : channel(4);
  return {
    ranks: scores,
    of: (at) => {
      const index =
        named === undefined ? b.asInt(b.reduceSum(b.mul(classes, at), [1], 0)) : forAll(b, named, matrix);
      const isScore = unsqueezed(b, oneHot(b, b.ints([4]), b.int(6)), 2);
      const slopes = isOwn ? b.mul(isScore, unsqueezed(b, b.reduceSum(b.mul(isOwn, at), [1]), 1)) : isScore;
      return { class: index, slopes, label: 0 };
    },
  };
}

interface Candidate {
  /** [N] */
  readonly index: Name;
  /** 1 where the picture has one, else 0, [N, 1, 1]. */
  readonly isThere: Name;
}

/** The best, n different ones, the one at a box, or a given one. */
function chosenCandidates(
  b: Builder,
  ranks: Name,
  boxes: () => Corners | undefined,
  { top, at, index, mostOverlap }: ObjectNodes,
): Candidate[] {
  const one = b.floats([1], [1, 1, 1]);
  if (index !== undefined) return [{ index: forAll(b, index, ranks), isThere: one }];
  const largest = (values: Name) => b.op('ArgMax', [values], { axis: 1, keepdims: 0 });
  const isAbove = (values: Name, least: number) =>
    unsqueezed(b, b.asFloat(b.op('Greater', [b.op('ReduceMax', [values, b.ints([1])]), b.scalar(least)])), 2);
  const corners = at || top > 1 ? boxes() : undefined;
  if (at) {
    const { x, y, width, height } = at;
    const given = [x, y, x + width, y + height].map((value) => b.floats([value], [1, 1]));
    const shared = corners ? overlapNodes(b, corners, given as unknown as Corners) : b.mul(ranks, b.zero());
    return [{ index: largest(shared), isThere: isAbove(shared, 0) }];
  }
  let left = ranks;
  return Array.from({ length: top }, (_, t) => {
    const found = largest(left);
    const candidate = { index: found, isThere: top > 1 ? isAbove(left, never / 2) : one };
    if (t < top - 1) {
      const hot = oneHot(b, found, scalarDim(b, ranks, 1));
      const isSame = b.op('Greater', [hot, b.zero()]);
      left = b.where(isSame, b.scalar(never), left);
      if (corners) {
        const own = corners.map((values) => b.reduceSum(b.mul(values, hot), [1])) as unknown as Corners;
        const isShared = b.op('Greater', [overlapNodes(b, corners, own), b.scalar(mostOverlap)]);
        left = b.where(isShared, b.scalar(never), left);
      }
    }
    return candidate;
  });
}

/** Left, top, right, bottom; [N, candidates] each. */
type Corners = readonly [Name, Name, Name, Name];

interface BoxSource {
  readonly output: OutputNodes;
  readonly matrix: Name;
  readonly layout: Layout;
  readonly plan: Plan;
  readonly row: Parameters<typeof boxFacts>[0];
  readonly facts: Parameters<typeof boxFacts>[1];
}

/** Boxes in pixels of the input; undefined where the output holds none that can be read. */
function cornersOf(b: Builder, { matrix, layout, plan, row, facts }: BoxSource): Corners | undefined {
  if (plan.areOffsets) return undefined;
  const { format, across, down, cells, areOffsets } = boxFacts(row, facts, plan);
  if (areOffsets) return undefined;
  const source = plan.boxes ?? plan.unstepped;
  const inBoxes =
    source === undefined
      ? matrix
      : plan.boxes === undefined
        ? matrixNodes(b, source, layout)
        : b.transpose(b.reshape(source, [0, layout.count, -1]), [0, 2, 1]);
  const number = (k: number) => b.op('Gather', [inBoxes, b.int(k)], { axis: 1 });
  const numbers = [0, 1, 2, 3].map(number);
  const decoded = cells ? ofCells(b, numbers, cells) : numbers;
  const corners = cornersIn(b, decoded, format);
  return corners.map((value, i) => b.scale(value, i % 2 === 0 ? across : down)) as unknown as Corners;
}

/** What YOLOX leaves in the units of its grid. */
function ofCells(
  b: Builder,
  [x, y, width, height]: readonly Name[],
  cells: readonly { readonly x: number; readonly y: number; readonly stride: number }[],
): Name[] {
  const row = (of: (cell: (typeof cells)[number]) => number) => b.floats(cells.map(of), [1, cells.length]);
  const strides = row(({ stride }) => stride);
  return [
    b.mul(
      b.add(
        x,
        row((cell) => cell.x),
      ),
      strides,
    ),
    b.mul(
      b.add(
        y,
        row((cell) => cell.y),
      ),
      strides,
    ),
    b.mul(b.op('Exp', [width]), strides),
    b.mul(b.op('Exp', [height]), strides),
  ];
}

/** As `boxOf`. */
function cornersIn(b: Builder, [p, q, r, s]: readonly Name[], format: BoxFormat): Corners {
  if (format === 'xyxy') return [p, q, r, s];
  if (format === 'yxyx') return [q, p, s, r];
  const [halfWidth, halfHeight] = [b.scale(r, 1 / 2), b.scale(s, 1 / 2)];
  return [b.sub(p, halfWidth), b.sub(q, halfHeight), b.add(p, halfWidth), b.add(q, halfHeight)];
}

/** Shared area over united area, [N, candidates]; 0 where either has none. */
function overlapNodes(b: Builder, one: Corners, other: Corners): Name {
  const extent = (from: Name, to: Name) => b.op('Relu', [b.sub(to, from)]);
  const width = extent(b.op('Max', [one[0], other[0]]), b.op('Min', [one[2], other[2]]));
  const height = extent(b.op('Max', [one[1], other[1]]), b.op('Min', [one[3], other[3]]));
  const area = ([left, top, right, bottom]: Corners) => b.mul(extent(left, right), extent(top, bottom));
  const shared = b.mul(width, height);
  const united = b.sub(b.add(area(one), area(other)), shared);
  const isEmpty = b.op('Equal', [united, b.zero()]);
  return b.where(isEmpty, b.zero(), b.div(shared, b.where(isEmpty, b.scalar(1), united)));
}

function scalarDim(b: Builder, value: Name, axis: number): Name {
  return b.op('Squeeze', [b.op('Shape', [value], { start: axis, end: axis + 1 }), b.ints([0])]);
}
