import { invalid } from '../../check.js';
import { show } from '../../errors.js';
import type { BoxFormat } from './boxes.js';
import { baseOf, type NetworkFacts, type Output } from '../target.js';

/** How detectors lay out what they find, by the networks that do it so: in one output, or with boxes in another. */
const [inOne, inTwo] = [['yolov5', 'yolov8', 'end2end'] as const, ['ssd', 'detr', 'nms'] as const];
export const layouts = [...inOne, ...inTwo] as const;
export type LayoutName = (typeof layouts)[number];

type Dims = readonly (number | string)[];

/** Where the candidates are, as far as dims, names and metadata of the network tell. */
export interface Plan {
  readonly layout: LayoutName;
  /** The output that holds the scores. */
  readonly scores: Output;
  /** The output that holds the boxes, where it is another. */
  readonly boxes?: string;
  /** Where heads of several scales have outputs of their own: all of them, `scores` and `boxes` being those of the first. */
  readonly scales?: readonly Scale[];
  /** The output with its boxes as they are, where a sigmoid over scores and boxes is stepped over. */
  readonly unstepped?: string;
  /** Boxes are not decoded: without the network's anchors nobody can say where they are. */
  readonly areOffsets?: boolean;
  readonly format?: BoxFormat;
  /** The number of classes that have names. */
  readonly named: number | undefined;
  /** Numbers of a candidate behind its classes: coefficients of masks, key points, an angle. */
  readonly extra: number;
}

/** The outputs of a head: scores [N, candidates, classes] and boxes [N, candidates, 4 and more]. */
export interface Scale {
  readonly scores: Output;
  readonly boxes: string;
}

export interface PlanOptions {
  readonly layout?: LayoutName;
  readonly format?: BoxFormat;
}

/** The plan for a network; undefined where none of its outputs looks like a detector's. */
export function planFor(network: NetworkFacts, { layout, format }: PlanOptions): Plan | undefined {
  const { outputs, output, isChosen, suppression, classes } = network;
  const named = classes?.length;
  if (layout === undefined && network.size.length < 2) return undefined; // a signal
  const common = { named, extra: 0, ...(format === undefined ? {} : { format }) };
  const scoresIn = isChosen ? [output] : [output, ...outputs.filter(({ value }) => value !== output.value)];
  if (suppression && (layout === 'nms' || (layout === undefined && !isChosen)))
    return {
      format: suppression.format,
      ...common,
      layout: 'nms',
      scores: suppression.scores,
      boxes: suppression.boxes,
    };
  if (layout === undefined || layout === 'ssd') {
    const scales = isChosen ? undefined : scalesIn(outputs);
    if (scales) {
      const [{ scores, boxes }] = scales;
      return { ...common, layout: 'ssd', scores, boxes, scales, areOffsets: true };
    }
  }
  if (layout === undefined || layout === 'ssd' || layout === 'detr') {
    const pair = pairIn(scoresIn, outputs);
    if (pair) {
      const isDetr = /logits/i.test(pair.scores.name) || /pred_box/i.test(pair.boxes.name);
      const isNamed = isNamedBoxes(pair.boxes);
      const areOffsets =
        /regress|delta|offset|^locs?$|_locs?$/i.test(pair.boxes.name) ||
        (!isNamed && !withoutOnes(pair.boxes).includes(4));
      return {
        ...(isDetr ? { format: 'cxcywh' } : {}),
        ...common,
        layout: layout ?? (isDetr ? 'detr' : 'ssd'),
        scores: pair.scores,
        boxes: pair.boxes.name,
        areOffsets,
      };
    }
    if (layout !== undefined) return undefined;
  }
  const single = scoresIn.find((item) => isSingle(item.dims, network, layout));
  if (!single) return undefined;
  const isEndToEnd = layout === 'end2end' || (layout === undefined && looksEndToEnd(single.dims, network));
  if (isEndToEnd) return { ...common, layout: 'end2end', scores: single, format: format ?? 'xyxy' };
  const extra = extraOf(single, network);
  const shape = shapeOf(single.dims.slice(1), { layout, named, extra });
  return {
    ...common,
    extra,
    layout: layout ?? (shape.hasObjectness ? 'yolov5' : 'yolov8'),
    scores: single,
    ...(single.isStepped ? { unstepped: single.name } : {}),
  };
}

/**
 * Whether outputs are what a detector's heads give at several scales, not decoded: [N, K, h, w] at a stride of 8 or more, and the same
 * K at half of that. Which of the K are classes, and which are regressed, cannot be told.
 */
export function areRawHeads({ output, outputs, size }: Pick<NetworkFacts, 'output' | 'outputs' | 'size'>) {
  const [, K, ...own] = output.dims;
  const isAt = (dims: Dims, stride: number) =>
    dims.length === size.length &&
    dims.every((dim, i) => typeof dim === 'number' && dim === Math.ceil((size[i] as number) / stride));
  const stride = strides.find((each) => each >= 8 && isAt(own, each));
  return (
    stride !== undefined &&
    outputs.some(({ dims: [, channels, ...other] }) => channels === K && isAt(other, 2 * stride))
  );
}

/** How one output holds candidates. */
export interface Shape {
  readonly isChannelsFirst: boolean;
  readonly count: number;
  readonly channels: number;
  /** Whether a number between box and classes says that there is an object at all. */
  readonly hasObjectness: boolean;
  readonly classes: number;
}

/**
 * [5 + classes, candidates] or [4 + classes, candidates], or the other way round. The number of named classes tells which where it
 * fits; else the shorter axis holds the channels, and there is an objectness where it is the last.
 */
export function shapeOf(
  dims: Dims,
  { layout, named, extra }: Pick<Plan, 'extra' | 'named'> & PlanOptions,
): Shape {
  const own = dims.filter((dim) => dim !== 1);
  const [a, b] = own.length > 1 ? own : [1, own[0]];
  const bases = layout === 'yolov5' ? [5] : layout === 'yolov8' ? [4] : undefined;
  const sizeOf = (dim: number | string) => (typeof dim === 'number' ? dim : Number.POSITIVE_INFINITY);
  const fitting = [
    { isFirst: true, base: 4 },
    { isFirst: false, base: 5 },
    { isFirst: false, base: 4 },
    { isFirst: true, base: 5 },
  ].filter(
    ({ isFirst, base }) =>
      (bases?.includes(base) ?? true) &&
      named !== undefined &&
      sizeOf(isFirst ? a : b) === base + extra + named,
  );
  const isChannelsFirst = fitting[0]?.isFirst ?? sizeOf(a) <= sizeOf(b);
  const base = fitting[0]?.base ?? bases?.[0] ?? (isChannelsFirst ? 4 : 5);
  const [channels, count] = isChannelsFirst ? [sizeOf(a), sizeOf(b)] : [sizeOf(b), sizeOf(a)];
  const classes = channels - base - extra > 0 ? channels - base - extra : Math.max(channels - base, 0);
  return { isChannelsFirst, count, channels, hasObjectness: base === 5, classes };
}

/** Coefficients of masks, key points or an angle, behind the classes. */
function extraOf({ dims, name }: Output, { metadata, outputs }: NetworkFacts): number {
  const task = metadata.get('task');
  if (task === 'obb') return 1;
  if (task === 'pose')
    return (metadata.get('kpt_shape')?.match(/\d+/g) ?? []).map(Number).reduce((a, b) => a * b, 1);
  const masks = outputs.find((other) => other.name !== name && other.dims.length === 4)?.dims[1];
  const isMasks = typeof masks === 'number' && (task === 'segment' || masks === 32);
  return isMasks && dims.some((dim) => typeof dim === 'number' && dim > 4 + masks) ? masks : 0;
}

/** [N, a, b] that a YOLO gives. */
function isSingle(dims: Dims, network: NetworkFacts, layout: LayoutName | undefined): boolean {
  const own = dims.slice(1);
  if (own.length !== 2 || own.every((dim) => typeof dim === 'number' && dim < 5)) return false;
  if (layout !== undefined || network.metadata.get('task') !== undefined) return true;
  if (looksEndToEnd([1, ...own], network)) return true;
  const [a, b] = own;
  const isKnown = network.size.every((dim) => typeof dim === 'number');
  const count = own.find((dim) => typeof dim === 'number' && isGridCount(dim, network.size));
  if (isKnown)
    return count !== undefined && own.some((dim) => dim !== count && typeof dim === 'number' && dim >= 5);
  // Without a fixed size the number of candidates is not known either; a line of text has a fixed height.
  return network.size.every((dim) => typeof dim !== 'number') && typeof a !== typeof b;
}

/** [N, n, 6]: corners, score and class of few candidates that a TopK or a NonMaxSuppression has chosen. */
function looksEndToEnd(dims: Dims, { size, metadata }: NetworkFacts): boolean {
  const [, n, width] = dims;
  if (dims.length !== 3 || width !== 6) return false;
  if (/'nms': True/.test(metadata.get('args') ?? '') || metadata.get('end2end') === 'True') return true;
  return typeof n === 'number' && n >= 10 && n <= 1000 && !isGridCount(n, size, 2);
}

const strides = [4, 8, 16, 32, 64, 128];

/** Whether one or three candidates a cell come to this number, over one or more (at least `least`) of the usual grids. */
function isGridCount(count: number, size: Dims, least = 1): boolean {
  if (!size.every((dim) => typeof dim === 'number')) return false;
  const fitting = strides.filter((stride) => size.every((dim) => dim >= stride));
  const cells = fitting.map((stride) => size.reduce((product, dim) => product * Math.ceil(dim / stride), 1));
  return cells.some((_, from) =>
    cells.some((__, to) => {
      const sum = cells.slice(from, to + 1).reduce((a, b) => a + b, 0);
      return to - from + 1 >= least && sum > 4 && (count === sum || count === 3 * sum);
    }),
  );
}

/** The cell of each candidate, where they are one a cell of the grids of strides 8, 16 and 32. */
export function cellsOfGrid(
  count: number,
  [height, width]: readonly number[],
): ((i: number) => { readonly x: number; readonly y: number; readonly stride: number }) | undefined {
  const grids = [8, 16, 32].map((stride) => ({
    stride,
    rows: Math.ceil(height / stride),
    columns: Math.ceil(width / stride),
  }));
  if (grids.reduce((sum, { rows, columns }) => sum + rows * columns, 0) !== count) return undefined;
  return (i) => {
    let left = i;
    for (const { stride, rows, columns } of grids) {
      if (left < rows * columns) return { x: left % columns, y: Math.floor(left / columns), stride };
      left -= rows * columns;
    }
    return { x: 0, y: 0, stride: 1 };
  };
}

/** Candidates of one scale each, in two or more scales: raw heads, whose boxes are relative to anchors that are not told. */
function scalesIn(outputs: readonly Output[]): readonly Scale[] | undefined {
  const byCount = new Map<number, Output[]>();
  for (const item of outputs) {
    const [count, width] = item.dims.slice(1);
    if (item.dims.length !== 3 || typeof count !== 'number' || typeof width !== 'number') continue;
    byCount.set(count, [...(byCount.get(count) ?? []), item]);
  }
  const scales = [...byCount]
    .filter(([count, { length }]) => count > 1 && length > 1)
    .map(([, own]) => scaleOf(own));
  const [first] = scales;
  if (scales.length < 2 || !first) return undefined;
  const areAlike = scales.every(
    (scale) => scale && widthOf(scale.scores) === widthOf(first.scores) && scale.width === first.width,
  );
  return areAlike ? scales.filter((scale) => scale !== undefined) : undefined;
}

/** Which output of a scale holds boxes, by name or width, and which of the others the scores. */
function scaleOf(outputs: readonly Output[]): (Scale & { readonly width: number }) | undefined {
  const isWide = (item: Output) => widthOf(item) > 4 && widthOf(item) % 2 === 0;
  const boxes =
    outputs.find((item) => isNamedBoxes(item) && widthOf(item) >= 4) ??
    outputs.find((item) => widthOf(item) === 4 && !isNamedScores(item)) ??
    outputs.find(isWide); // key points may follow
  const others = outputs.filter((item) => item !== boxes && isNoOther(item));
  const narrowest = others.toSorted((a, b) => widthOf(a) - widthOf(b))[0];
  const scores = others.find(isNamedScores) ?? narrowest;
  if (!boxes || !scores) return undefined;
  const isPlain = widthOf(boxes) === 4 || widthOf(scores) === 1 || isNamedScores(scores);
  return isPlain ? { scores, boxes: boxes.name, width: widthOf(boxes) } : undefined;
}

const widthOf = ({ dims }: Output) => dims[dims.length - 1] as number;
const withoutOnes = ({ dims }: Output) => dims.slice(1).filter((dim) => dim !== 1);
const isNamedBoxes = ({ name }: Output) => /box|regress|loc/i.test(name);
const isNamedScores = ({ name }: Output) => /score|conf|cls|class|logit|prob/i.test(name);
const isNoOther = ({ name }: Output) => !/box|label|num|regress|mask|index|indices/i.test(name);

/** Scores and boxes in outputs of their own, as many of the one as of the other. */
function pairIn(
  scoresIn: readonly Output[],
  outputs: readonly Output[],
): { scores: Output; boxes: Output } | undefined {
  /** Whether an output holds one score of each of as many candidates. */
  const areRated = ([count]: Dims) =>
    typeof count === 'number' &&
    scoresIn.some((other) => other.dims.length === 3 && other.dims[1] === count && other.dims[2] === 1);
  const isBoxes = (item: Output) => {
    const own = withoutOnes(item);
    const width = own[own.length - 1];
    return (
      own.length === 2 &&
      (width === 4 ||
        ((isNamedBoxes(item) || areRated(own)) && typeof width === 'number' && width > 4 && width % 2 === 0))
    );
  };
  const pairs = outputs.filter(isBoxes).flatMap((boxes) =>
    scoresIn
      .filter((scores) => scores.value !== boxes.value && scores.name !== boxes.name)
      .filter(isNoOther)
      .filter((scores) => {
        const own = withoutOnes(scores);
        const [count] = withoutOnes(boxes);
        return (
          own.length <= 2 && own.some((dim) => dim === count || (dim === '' && typeof count === 'string'))
        );
      })
      .map((scores) => ({ scores, boxes })),
  );
  const points = ({ scores, boxes }: { scores: Output; boxes: Output }) =>
    (isNamedScores(scores) ? 2 : 0) + (/box/i.test(boxes.name) ? 1 : 0);
  return pairs.toSorted((a, b) => points(b) - points(a))[0];
}

/** What is asked of the scores of a picture, where names and dims do not tell how they become probabilities. */
export interface ScoreFacts {
  readonly channels: number;
  /** Every score is in 0…1. */
  readonly areShares: boolean;
  /** The scores of every candidate sum to 1. */
  readonly sumToOne: boolean;
  /** The channel that is the largest of most candidates. */
  readonly usual: number | undefined;
  /** Of most candidates even the largest score is below 0. */
  readonly areLow: boolean;
}

export interface ScoreReading {
  readonly by: 'softmax' | 'sigmoid' | 'identity';
  /** Channel of the first class; there may be a background before it or behind the last. */
  readonly first: number;
  readonly classes: number;
  /** The index of the first class, as names count. */
  readonly label: number;
}

/**
 * How scores in an output of their own become probabilities, and which channel is no class. A softmax has a background: the last
 * channel of DETR ("no object"), the first of SSD; a sigmoid has none (RetinaNet). Which of them it is follows from the
 * operator that was stepped over, from the number of names, and else from the picture: probabilities that sum to 1, a channel
 * that is the largest of most candidates, or, of queries, none that is (RT-DETR), where all scores are low.
 */
export function readScores({ layout, scores, named }: Plan, facts: ScoreFacts): ScoreReading {
  const { channels, areShares, sumToOne, usual, areLow } = facts;
  const link = baseOf(scores.link);
  const found = scores.isStepped ? link : undefined;
  const isEdge = usual === 0 || usual === channels - 1;
  const isFocal = named === undefined && areLow && usual !== channels - 1; // RT-DETR: nothing says "no object"
  const isSoftmax =
    found === 'softmax' ||
    (found === undefined &&
      channels > 1 &&
      (sumToOne ||
        (!areShares &&
          (layout === 'detr'
            ? named !== channels && !isFocal
            : named === undefined
              ? isEdge
              : named === channels - 1))));
  const by =
    found === 'softmax' || found === 'sigmoid'
      ? found
      : areShares
        ? 'identity'
        : isSoftmax
          ? 'softmax'
          : 'sigmoid';
  if (!isSoftmax || channels === 1) return { by, first: 0, classes: channels, label: 0 };
  const isLast = layout === 'detr' || (named === undefined && usual === channels - 1 && channels > 2);
  const first = isLast ? 0 : 1;
  return { by, first, classes: channels - 1, label: named === channels - 1 ? 0 : first };
}

/** For the user: how the output was understood, and how to say otherwise. */
export function noteOf({ layout, scores, boxes, scales, areOffsets }: Plan, isDefault: boolean): string {
  const outputs = (scales?.map((scale) => scale.scores) ?? [scores]).map(
    ({ name, dims }) => `${show(name)} [${dims.map((dim) => dim || '?').join(', ')}]`,
  );
  const are = outputs.length > 1 ? 'outputs' : 'output';
  const inBoxes = scales?.map((scale) => show(scale.boxes)).join(', ') ?? show(boxes);
  const words: Readonly<Record<LayoutName, string>> = {
    yolov5: 'box, objectness and classes of each candidate, as YOLOv5',
    yolov8: 'box and classes of each candidate, as YOLOv8',
    end2end: 'corners, score and class of the candidates that are left, as YOLOv10',
    ssd: `classes of each candidate, with boxes in ${inBoxes}, as SSD and RetinaNet`,
    detr: `classes of each query, with boxes in ${show(boxes)}, as DETR`,
    nms: `the candidates before NonMaxSuppression, with boxes in ${show(boxes)}`,
  };
  const others = (boxes === undefined ? inOne : inTwo).filter((name) => name !== layout);
  const choice = isDefault
    ? ' Explained is the best one; choose with --target detection:CLASS, :top=N or :at=X,Y,WIDTH,HEIGHT.'
    : '';
  const anchors = areOffsets
    ? ' Boxes are relative to anchors that the model does not tell: results have none.'
    : '';
  return `The ${are} ${outputs.join(', ')} ${are === 'output' ? 'is' : 'are'} taken as detections: ${words[layout]}.${anchors}${choice} Another layout: --target detection:layout=${others.join('|')}.`;
}

export function unfitting(network: NetworkFacts, layout: LayoutName | undefined) {
  const outputs = network.outputs.map(
    ({ name, dims }) => `${show(name)} [${dims.map((dim) => dim || '?').join(', ')}]`,
  );
  return invalid(
    'targets.kind',
    `one that fits the outputs, ${outputs.join(', ')}`,
    layout === undefined ? 'detection' : `detection of the layout ${layout}`,
    'Detections are [N, candidates, 5 + classes], [N, 4 + classes, candidates], or scores [N, candidates, classes] with boxes [N, candidates, 4].',
    'INVALID_TARGET',
  );
}
