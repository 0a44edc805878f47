import { type BoxFormat, boxOf, overlap, scaled } from './boxes.js';
import { cellsOfGrid, type Plan, readScores, type ScoreFacts, shapeOf } from './detection-layouts.js';
import type { Box, Facts, Row } from '../target.js';

/** All that a detector gives for one picture, before it drops any. */
export interface Candidates {
  readonly count: number;
  /** The classes that an object can have. */
  readonly classes: number;
  /** The index of the first class, as names count: 1 where a background without a name comes before. */
  readonly label: number;
  /** The class that each candidate says most of. */
  readonly bestClasses: () => Int32Array;
  /** What candidate i says of class c: 0…1. */
  readonly probability: (row: Row, i: number, c: number) => number;
  /** The number that is explained. */
  readonly score: (row: Row, i: number, c: number) => number;
  /** Its derivative: places of the row, and the slope at each. */
  readonly slopes: (row: Row, i: number, c: number) => (readonly [place: number, slope: number])[];
  /** In pixels of the network's input; undefined where the output holds no boxes that can be read. */
  readonly box: (i: number) => Box | undefined;
}

/** The candidates in a row, as the plan says that they are laid out. */
export function candidatesIn(row: Row, facts: Facts, plan: Plan): Candidates {
  if (plan.layout === 'end2end') return chosenBefore(row, facts, plan);
  return plan.boxes === undefined ? inOneOutput(row, facts, plan) : inTwoOutputs(row, facts, plan);
}

/** How a row holds candidates and what their scores are, as far as it is the same in every picture. */
export interface Layout {
  readonly isChannelsFirst: boolean;
  readonly count: number;
  readonly channels: number;
  /** Whether channel 4 says that there is an object at all. */
  readonly hasObjectness: boolean;
  /** Channel of the first class. */
  readonly first: number;
  readonly classes: number;
  readonly label: number;
  readonly by: 'softmax' | 'sigmoid' | 'identity';
}

export function layoutOf(row: Row, facts: Facts, plan: Plan): Layout {
  if (plan.layout === 'end2end') {
    const common = {
      isChannelsFirst: false,
      channels: 6,
      hasObjectness: false,
      first: 4,
      classes: 1,
      label: 0,
    };
    return { ...common, count: row.data.length / 6, by: 'identity' };
  }
  return plan.boxes === undefined ? layoutInOne(row, plan) : layoutInTwo(row, facts, plan);
}

/** YOLO: [4 + objectness + classes + more, candidates], or the other way round. */
function layoutInOne({ data, dims }: Row, plan: Plan): Layout {
  const shape = shapeOf(dims, plan);
  const m = matrix(shape.count, shape.channels, shape.isChannelsFirst);
  const first = shape.hasObjectness ? 5 : 4;
  // Some exports leave the sigmoid out: then there is a value that is no probability.
  const by = areShares(m, data, [4, first + shape.classes]) ? 'identity' : 'sigmoid';
  return { ...shape, first, label: 0, by };
}

/** Boxes in an output of their own, or in one a scale: SSD, RetinaNet, DETR, and what is before a NonMaxSuppression. */
function layoutInTwo(row: Row, facts: Facts, plan: Plan): Layout {
  const heads = (plan.scales ?? [{ boxes: plan.boxes as string }]).map(({ boxes }) => facts.output(boxes));
  const count = heads.reduce((sum, { data }) => sum + data.length, 0) / widthOf(heads[0]);
  const channels = row.data.length / count;
  const own = row.dims.filter((dim) => dim !== 1);
  const isSquare = count === channels;
  const isChannelsFirst = channels > 1 && (isSquare ? plan.layout === 'nms' : own[0] === channels);
  const m = matrix(count, channels, isChannelsFirst);
  return { isChannelsFirst, count, channels, hasObjectness: false, ...readScores(plan, scoreFacts(row, m)) };
}

/** Key points may follow the four numbers of a box. */
function widthOf(boxes: Row): number {
  return boxes.dims.filter((dim) => dim !== 1).at(-1) ?? 4;
}

/** Row and channel of a matrix, whichever axis the candidates are. */
interface Matrix {
  readonly count: number;
  readonly channels: number;
  readonly place: (i: number, channel: number) => number;
}

function matrix(count: number, channels: number, isChannelsFirst: boolean): Matrix {
  return {
    count,
    channels,
    place: (i, channel) => (isChannelsFirst ? channel * count + i : i * channels + channel),
  };
}

/** The class of the largest score of each candidate: no softmax or sigmoid changes which it is. */
function bestClasses(
  m: Matrix,
  data: Float32Array,
  { first, classes }: { first: number; classes: number },
): Int32Array {
  const best = new Int32Array(m.count);
  for (let c = 1; c < classes; c++)
    for (let i = 0; i < m.count; i++)
      if (data[m.place(i, first + c)] > data[m.place(i, first + best[i])]) best[i] = c;
  return best;
}

const logistic = (value: number) => 1 / (1 + Math.exp(-value));

/** Candidates of one output. */
function inOneOutput(row: Row, facts: Facts, plan: Plan): Candidates {
  const { data } = row;
  const layout = layoutInOne(row, plan);
  const { count, classes, first, hasObjectness } = layout;
  const m = matrix(count, layout.channels, layout.isChannelsFirst);
  const isShare = layout.by === 'identity';
  const share = isShare ? (value: number) => value : logistic;
  const slope = isShare ? () => 1 : (value: number) => logistic(value) * (1 - logistic(value));
  const at = (own: Row, i: number, channel: number) => own.data[m.place(i, channel)];
  const object = (own: Row, i: number) => (hasObjectness ? share(at(own, i, 4)) : 1);
  const probability = (own: Row, i: number, c: number) => object(own, i) * share(at(own, i, first + c));
  return {
    count,
    classes,
    label: 0,
    bestClasses: () => bestClasses(m, data, { first, classes }),
    probability,
    score: (own, i, c) => (hasObjectness ? probability(own, i, c) : at(own, i, first + c)),
    slopes: (own, i, c) => {
      const place = m.place(i, first + c);
      if (!hasObjectness) return [[place, 1]];
      const [o, s] = [at(own, i, 4), own.data[place]];
      return [
        [m.place(i, 4), slope(o) * share(s)],
        [place, share(o) * slope(s)],
      ];
    },
    box: boxReader(boxNumbers(row, facts, plan), facts.size),
  };
}

/** Candidates whose boxes are in an output of their own. */
function inTwoOutputs(row: Row, facts: Facts, plan: Plan): Candidates {
  const layout = layoutInTwo(row, facts, plan);
  const { by, first, classes, label, count, channels } = layout;
  const m = matrix(count, channels, layout.isChannelsFirst);
  const at = (one: Row, i: number, c: number) => one.data[m.place(i, first + c)];
  const softmax = (one: Row, i: number, c: number) => {
    let sum = 0;
    for (let k = 0; k < channels; k++) sum += Math.exp(one.data[m.place(i, k)] - at(one, i, c));
    return 1 / sum;
  };
  const probability = {
    softmax,
    identity: at,
    sigmoid: (one: Row, i: number, c: number) => logistic(at(one, i, c)),
  };
  return {
    count,
    classes,
    label,
    bestClasses: () => bestClasses(m, row.data, { first, classes }),
    probability: probability[by],
    score: at,
    slopes: (_, i, c) => [[m.place(i, first + c), 1]],
    box: plan.areOffsets ? () => undefined : boxReader(boxNumbers(row, facts, plan), facts.size),
  };
}

/** [candidates, 6]: corners, score, class. In a changed picture a candidate is the one of its class that overlaps it most. */
function chosenBefore(row: Row, facts: Facts, plan: Plan): Candidates {
  const count = row.data.length / 6;
  const classOf = (own: Row, i: number) => Math.round(own.data[i * 6 + 5]);
  const classes =
    1 + Array.from({ length: count }, (_, i) => classOf(row, i)).reduce((a, b) => Math.max(a, b), 0);
  const reader = (own: Row) => boxReader(boxNumbers(own, facts, plan), facts.size);
  const box = reader(row);
  const place = (own: Row, i: number, c: number): number | undefined => {
    if (own === row || own.data === row.data) return classOf(row, i) === c ? i : undefined;
    const wanted = box(i);
    const boxes = reader(own);
    let found: number | undefined;
    let most = 0.5;
    for (let j = 0; j < own.data.length / 6; j++) {
      const other = classOf(own, j) === c ? boxes(j) : undefined;
      const shared = wanted && other ? overlap(wanted, other) : 0;
      if (shared > most) [found, most] = [j, shared];
    }
    return found;
  };
  const score = (own: Row, i: number, c: number) => {
    const j = place(own, i, c);
    return j === undefined ? 0 : own.data[j * 6 + 4];
  };
  return {
    count,
    classes: Math.max(classes, plan.named ?? 0),
    label: 0,
    bestClasses: () => Int32Array.from({ length: count }, (_, i) => classOf(row, i)),
    probability: score,
    score,
    slopes: (own, i, c) => {
      const j = place(own, i, c);
      return j === undefined ? [] : [[j * 6 + 4, 1]];
    },
    box,
  };
}

function scoreFacts({ data }: Row, { count, channels, place }: Matrix): ScoreFacts {
  let areShares = true;
  let sumToOne = true;
  let low = 0;
  const votes = new Float64Array(channels);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    let most = 0;
    for (let c = 0; c < channels; c++) {
      const value = data[place(i, c)];
      areShares &&= isShare(value);
      sum += value;
      if (value > data[place(i, most)]) most = c;
    }
    sumToOne &&= Math.abs(sum - 1) < 1e-3;
    votes[most]++;
    if (data[place(i, most)] < 0) low++;
  }
  const usual = votes.findIndex((number) => number > count / 2);
  return {
    channels,
    areShares,
    sumToOne: sumToOne && areShares,
    usual: usual < 0 ? undefined : usual,
    areLow: low > count / 2,
  };
}

function areShares({ count, place }: Matrix, data: Float32Array, [from, to]: readonly number[]): boolean {
  for (let channel = from; channel < to; channel++)
    for (let i = 0; i < count; i++) if (!isShare(data[place(i, channel)])) return false;
  return true;
}

/** Rounding may leave a probability a little above 1. */
function isShare(value: number): boolean {
  return value >= 0 && value <= 1 + 1e-5;
}

/** Four numbers of each candidate that are a box in some way. */
interface BoxNumbers {
  readonly value: (i: number, k: number) => number;
  readonly count: number;
  readonly format: BoxFormat | undefined;
  readonly isYolox?: boolean;
}

function boxNumbers(row: Row, facts: Facts, plan: Plan): BoxNumbers {
  const { format } = plan;
  if (plan.layout === 'end2end')
    return { value: (i, k) => row.data[i * 6 + k], count: row.data.length / 6, format };
  if (plan.boxes !== undefined) {
    const boxes = facts.output(plan.boxes);
    const width = widthOf(boxes);
    return { value: (i, k) => boxes.data[i * width + k], count: boxes.data.length / width, format };
  }
  const data = plan.unstepped === undefined ? row.data : facts.output(plan.unstepped).data;
  const { count, channels, isChannelsFirst, hasObjectness } = shapeOf(row.dims, plan);
  const m = matrix(count, channels, isChannelsFirst);
  return {
    value: (i, k) => data[m.place(i, k)],
    count,
    format: format ?? 'cxcywh',
    isYolox: hasObjectness,
  };
}

/** How four numbers are a box in pixels of the input. */
export interface BoxFacts {
  readonly format: BoxFormat;
  /** Factors of numbers that are parts of the picture. */
  readonly across: number;
  readonly down: number;
  /** Of each candidate, where YOLOX left numbers in the units of its grid. */
  readonly cells: readonly { readonly x: number; readonly y: number; readonly stride: number }[] | undefined;
  /** No format makes boxes of them: they are relative to anchors that the model does not tell. */
  readonly areOffsets: boolean;
}

export function boxFacts(row: Row, facts: Facts, plan: Plan): BoxFacts {
  return readFacts(boxNumbers(row, facts, plan), facts.size);
}

/**
 * Where every number is at most 2 they are parts of the picture. Where no format is given: two corners, x first, if the second is
 * never above or left of the first, else centre and size; offsets from anchors, if many are neither. YOLOX leaves what it regresses
 * in the units of its grid: then some sizes are negative.
 */
function readFacts({ value, count, format, isYolox }: BoxNumbers, size: readonly number[]): BoxFacts {
  const [height, width] = size.slice(-2);
  let most = 0;
  let areCorners = true;
  let isNegative = false;
  let neither = 0;
  for (let i = 0; i < count; i++) {
    const [a, b, c, d] = [value(i, 0), value(i, 1), value(i, 2), value(i, 3)];
    most = Math.max(most, Math.abs(a), Math.abs(b), Math.abs(c), Math.abs(d));
    const [isCorners, isSize] = [c >= a && d >= b, c >= 0 && d >= 0];
    areCorners &&= isCorners;
    isNegative ||= !isSize;
    if (!isCorners && !isSize) neither++;
  }
  const own = format ?? (areCorners ? 'xyxy' : 'cxcywh');
  const grid = isYolox && isNegative && own === 'cxcywh' ? cellsOfGrid(count, [height, width]) : undefined;
  const [across, down] = most <= 2 && !grid ? [width, height] : [1, 1];
  const areOffsets = format === undefined && neither > count / 10;
  return {
    format: own,
    across,
    down,
    areOffsets,
    cells: grid && Array.from({ length: count }, (_, i) => grid(i)),
  };
}

/** Boxes in pixels of the input. */
function boxReader(numbers: BoxNumbers, size: readonly number[]): (i: number) => Box | undefined {
  const { value } = numbers;
  const { format, across, down, cells, areOffsets } = readFacts(numbers, size);
  if (areOffsets) return () => undefined;
  if (cells)
    return (i) => {
      const { x, y, stride } = cells[i];
      const [w, h] = [stride * Math.exp(value(i, 2)), stride * Math.exp(value(i, 3))];
      return boxOf([(value(i, 0) + x) * stride, (value(i, 1) + y) * stride, w, h], 'cxcywh');
    };
  return (i) => {
    const box = scaled(boxOf([value(i, 0), value(i, 1), value(i, 2), value(i, 3)], format), across, down);
    return box.width > 0 && box.height > 0 ? box : undefined;
  };
}
