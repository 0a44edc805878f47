import { invalid } from '../check.js';
import { show } from '../errors.js';
import type { BoxFormat } from './boxes.js';
import { baseOf, type NetworkFacts, type Output } from './target.js';

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

export interface PlanOptions {
  readonly layout?: LayoutName;
  readonly format?: BoxFormat;
}

/** The plan for a network; undefined where none of its outputs looks like a detector's. */
export function planFor(network: NetworkFacts, { layout, format }: PlanOptions): Plan | undefined {
  const { outputs, output, isChosen, suppression, classes } = network;
  const named = classes?.length;
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
  if (layout === undefined || layout === 'ssd' || layout === 'detr') {
    const pair = pairIn(scoresIn, outputs);
    if (pair) {
      const isDetr = /logits/i.test(pair.scores.name) || /pred_box/i.test(pair.boxes.name);
      const areOffsets = /regress|delta|offset|^locs?$|_locs?$/i.test(pair.boxes.name);
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

/** Scores and boxes in outputs of their own, as many of the one as of the other. */
function pairIn(
  scoresIn: readonly Output[],
  outputs: readonly Output[],
): { scores: Output; boxes: Output } | undefined {
  const withoutOnes = ({ dims }: Output) => dims.slice(1).filter((dim) => dim !== 1);
  const isBoxes = (item: Output) => {
    const own = withoutOnes(item);
    const width = own[own.length - 1];
    const isNamed = /box|regress|loc/i.test(item.name);
    return (
      own.length === 2 &&
      (width === 4 || (isNamed && typeof width === 'number' && width > 4 && width % 2 === 0))
    );
  };
  const pairs = outputs.filter(isBoxes).flatMap((boxes) =>
    scoresIn
      .filter((scores) => scores.value !== boxes.value && scores.name !== boxes.name)
      .filter((scores) => !/box|label|num|regress|mask|index|indices/i.test(scores.name))
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
    (/score|conf|cls|class|logit|prob/i.test(scores.name) ? 2 : 0) + (/box/i.test(boxes.name) ? 1 : 0);
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
 * operator that was stepped over, from the number of names, and else from the picture: probabilities that sum to 1, or a channel
 * that is the largest of most candidates.
 */
export function readScores({ layout, scores, named }: Plan, facts: ScoreFacts): ScoreReading {
  const { channels, areShares, sumToOne, usual } = facts;
  const link = baseOf(scores.link);
  const found = scores.isStepped ? link : undefined;
  const isEdge = usual === 0 || usual === channels - 1;
  const isSoftmax =
    found === 'softmax' ||
    (found === undefined &&
      channels > 1 &&
      (sumToOne ||
        (!areShares &&
          (layout === 'detr' ? named !== channels : named === undefined ? isEdge : named === channels - 1))));
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
export function noteOf({ layout, scores, boxes }: Plan, isDefault: boolean): string {
  const dims = scores.dims.map((dim) => dim || '?').join(', ');
  const words: Readonly<Record<LayoutName, string>> = {
    yolov5: 'box, objectness and classes of each candidate, as YOLOv5',
    yolov8: 'box and classes of each candidate, as YOLOv8',
    end2end: 'corners, score and class of the candidates that are left, as YOLOv10',
    ssd: `classes of each candidate, with boxes in ${show(boxes)}, as SSD and RetinaNet`,
    detr: `classes of each query, with boxes in ${show(boxes)}, as DETR`,
    nms: `the candidates before NonMaxSuppression, with boxes in ${show(boxes)}`,
  };
  const others = (boxes === undefined ? inOne : inTwo).filter((name) => name !== layout);
  const choice = isDefault
    ? ' Explained is the best one; choose with --target detection:CLASS, :top=N or :at=X,Y,WIDTH,HEIGHT.'
    : '';
  return `The output ${show(scores.name)} [${dims}] is taken as detections: ${words[layout]}.${choice} Another layout: --target detection:layout=${others.join('|')}.`;
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
