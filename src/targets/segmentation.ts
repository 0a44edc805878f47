import { invalid, onlyKeys } from '../check.js';
import { show } from '../errors.js';
import { sizeOf } from '../tensor.js';
import { checkClass, checkOutput, classOf, className } from './class.js';
import { areRawHeads } from './common/detection-layouts.js';
import { partsOf, typedClass } from './common/parts.js';
import { best } from './common/probabilities.js';
import {
  baseOf,
  type Classes,
  type Facts,
  type Goal,
  isObject,
  isOfScores,
  type Link,
  linearGoal,
  type Mask,
  type NetworkFacts,
  type Row,
  type TargetKind,
} from './target.js';
import { segmentationNodes } from './common/segmentation-nodes.js';
import { checkTop } from './top.js';

/** A class of a segmentation, in the part of the picture where it is the answer, or in a given one. */
export interface SegmentationTarget {
  readonly kind: 'segmentation';
  /** Index or name; default: the class that is the answer in most pixels of the picture (or of the mask). */
  readonly class?: number | string;
  /** Instead of a class: the n classes that are the answer in most pixels. */
  readonly top?: number;
  /** The pixels that count, where they are not 0: a picture or .npy file, or {data, dims: [h, w]} over the network's input. */
  readonly mask?: string | Mask;
  /** The output that holds the scores; default: the model's scores. */
  readonly output?: string;
}

/**
 * S = Σ_{p ∈ M} S_c(p): the scores of class c, before softmax, summed over the pixels of a mask M. Seg-Grad-CAM (Vinogradova et
 * al., arXiv 2002.11434, Eq. 2) and pytorch-grad-cam's SemanticSegmentationTarget.
 *
 * M is given, or holds the pixels where c is the answer: the class of the largest score, or, of an output with one channel, the
 * foreground (a score above 0, a probability above one half). A mask of another size than the output is looked up at the
 * middle of each of its pixels. Where no class is named, the one that is the answer in most pixels is explained; background (class
 * 0, unless it has a name that says otherwise) only where nothing else is. Its probability is the mean of softmax(S)_c over
 * M. A class that is nowhere the answer has an empty M, and with it an empty map.
 *
 * Outputs are [N, C, …size], or [N, …size, C] where only those dims have the proportions of the input.
 */
export const segmentationTarget: TargetKind<SegmentationTarget> = {
  name: 'segmentation',
  help: 'a class where it is the answer; :mask=FILE, or segmentation:top=N',
  example: 'segmentation:dog',
  is: (spec): spec is SegmentationTarget => isObject(spec) && 'kind' in spec && spec.kind === 'segmentation',
  check: (spec) => {
    onlyKeys('a target of the kind "segmentation"', spec, ['kind', 'class', 'top', 'mask', 'output']);
    if (spec.class !== undefined) checkClass(spec.class);
    if (spec.top !== undefined) checkTop(spec.top);
    if (spec.class !== undefined && spec.top !== undefined)
      throw invalid('targets.top', 'left out where "class" is given', spec.top, '', 'INVALID_TARGET');
    if (spec.mask !== undefined && typeof spec.mask !== 'string') checkMask(spec.mask);
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  takes: { what: 'scores of classes at every pixel, [N, classes, …size]', is: isOfPixels },
  nodes: ({ class: named, top = 1, mask }, b, output) => {
    const { dims, network } = output;
    const { size, channelsLast, classes } = network;
    const isChannelsLast = hasChannelsLast(dims.slice(1), size, channelsLast);
    const own = isChannelsLast ? dims.slice(1, -1) : dims.slice(2);
    const count = dims[isChannelsLast ? dims.length - 1 : 1];
    if (typeof count !== 'number') return undefined;
    if (mask !== undefined && !own.every((dim): dim is number => typeof dim === 'number')) return undefined;
    return segmentationNodes(b, output, {
      isChannelsLast,
      class: named === undefined ? undefined : classOf(named, count, classes),
      top,
      least: leastAnswer(network.output.link),
      hasBackground: count > 1 && isBackground(classes?.[0]?.name),
      mask: typeof mask === 'object' ? maskWeights(mask, own as number[]) : undefined,
    });
  },
  isSingle: ({ top = 1 }) => top === 1,
  prepare: async (spec, _, tools) => {
    if (typeof spec.mask !== 'string') return { spec };
    const mask = await tools.mask(spec.mask);
    if (Array.from(mask.data).some((value) => value !== 0)) return { spec: { ...spec, mask } };
    throw invalid('targets.mask', 'a mask with a pixel that is not 0', spec.mask, '', 'INVALID_TARGET');
  },
  find: ({ class: named, top = 1, mask }, row, facts) => {
    const grid = gridOf(row, facts);
    const answers = answersOf(row, grid, facts);
    const given = typeof mask === 'object' ? positionsOf(mask, grid.dims) : undefined;
    const chosen =
      named === undefined
        ? mostAnswered(answers, grid.count, { top, given, classes: facts.classes })
        : [classOf(named, grid.count, facts.classes)];
    return chosen.map((index) => segmentGoal(index, { grid, facts, answers, given }));
  },
  parse: (text) => {
    const { what, mask, top, output } = partsOf(text, ['mask', 'top', 'output']);
    return {
      kind: 'segmentation',
      ...(what === '' ? {} : { class: typedClass(what) }),
      ...(mask === undefined ? {} : { mask }),
      ...(top === undefined ? {} : { top: Number(top) }),
      ...(output === undefined ? {} : { output }),
    };
  },
  fits: (network) => {
    const { output, size, channelsLast } = network;
    const dims = output.dims.slice(1);
    if (size.length < 2 || dims.length !== size.length + 1 || isOfScores(dims)) return undefined;
    if (areRawHeads(network)) return undefined;
    const isLast = hasChannelsLast(dims, size, channelsLast);
    const hasForeground = ['sigmoid', 'identity'].includes(baseOf(output.link));
    if (dims[isLast ? dims.length - 1 : 0] === 1 && !hasForeground) return undefined; // depth, and the like
    return { spec: { kind: 'segmentation' }, note: noteOf(output) };
  },
  ofClass: (choice) => ({ kind: 'segmentation', ...choice }),
};

/** Whether an output has classes and positions; of clips it may have no frames. */
function isOfPixels({ output, size }: NetworkFacts): boolean {
  const dims = output.dims.slice(1);
  return output.dims.length === 0 || (dims.length > Math.min(size.length, 2) && !isOfScores(dims));
}

function noteOf({
  name,
  dims,
}: {
  readonly name: string;
  readonly dims: readonly (number | string)[];
}): string {
  const shown = dims.map((dim) => dim || '?').join(', ');
  return `The output ${show(name)} [${shown}] is taken as a segmentation: explained is the class that is the answer in most pixels, background only where nothing else is. Name another with "class" (--target segmentation:CLASS).`;
}

/** How scores lie in a row: class c at position p is at c · classStep + p · positionStep. */
interface Grid {
  /** The number of classes. */
  readonly count: number;
  readonly dims: readonly number[];
  readonly positions: number;
  readonly classStep: number;
  readonly positionStep: number;
}

function gridOf({ dims }: Row, { size, channelsLast }: Facts): Grid {
  const isLast = hasChannelsLast(dims, size, channelsLast);
  const own = isLast ? dims.slice(0, -1) : dims.slice(1);
  const positions = sizeOf(own);
  const count = isLast ? dims[dims.length - 1] : dims[0];
  return isLast
    ? { count, dims: own, positions, classStep: 1, positionStep: count }
    : { count, dims: own, positions, classStep: positions, positionStep: 1 };
}

/** Whether the dims behind N end with the channels: the others then have the proportions of the input, up to rounding. */
function hasChannelsLast(
  dims: readonly (number | string)[],
  size: readonly (number | string)[],
  isInputLast: boolean,
): boolean {
  const isLike = (own: readonly (number | string)[]) =>
    own.length === size.length &&
    own.every((dim, i) => {
      const [a, b, A, B] = [dim, own[0], size[i], size[0]];
      if (typeof a !== 'number' || typeof b !== 'number') return true;
      return typeof A !== 'number' || typeof B !== 'number' || Math.abs(a * B - b * A) < Math.max(A, B);
    });
  const [isFirst, isLast] = [isLike(dims.slice(1)), isLike(dims.slice(0, -1))];
  return isFirst === isLast ? isInputLast : isLast;
}

/** The class of the largest score at every position; −1 where a single channel is not the answer. */
function answersOf({ data }: Row, grid: Grid, { link }: Facts): Int32Array {
  const { count, positions, classStep, positionStep } = grid;
  const answers = new Int32Array(positions);
  const least = leastAnswer(link);
  for (let p = 0; p < positions; p++) {
    const at = p * positionStep;
    if (count === 1) answers[p] = data[at] > least ? 0 : -1;
    for (let c = 1; c < count; c++)
      if (data[at + c * classStep] > data[at + answers[p] * classStep]) answers[p] = c;
  }
  return answers;
}

/** Above this a single channel is the answer. */
function leastAnswer(link: Link): number {
  return baseOf(link) === 'identity' ? 0.5 : 0;
}

/** 1 at the positions of the output that a mask covers. */
function maskWeights(mask: Mask, dims: readonly number[]) {
  const weights = new Float32Array(sizeOf(dims));
  for (const position of positionsOf(mask, dims)) weights[position] = 1;
  return { weights, dims };
}

/** Those of the classes that are the answer in most positions, most first; background last. */
function mostAnswered(
  answers: Int32Array,
  count: number,
  { top, given, classes }: { top: number; given: Int32Array | undefined; classes: Classes | undefined },
): number[] {
  const votes = new Float64Array(count);
  for (const p of given ?? answers.keys()) if (answers[p] >= 0) votes[answers[p]]++;
  const hasBackground = count > 1 && isBackground(classes?.[0]?.name);
  if (hasBackground) votes[0] /= answers.length + 1; // less than any other that has a vote
  const found = best(votes, top).filter((index) => votes[index] > 0);
  return found.length > 0 ? found : [0];
}

/** Whether class 0 is no object: unless its name says otherwise. */
function isBackground(name: string | undefined): boolean {
  return (
    name === undefined ||
    /^(__?)?(back[ _-]?ground|bg|none|nothing|void|un[ _-]?label+ed|other|0)(__?)?$/i.test(name)
  );
}

interface Segment {
  readonly grid: Grid;
  readonly facts: Facts;
  readonly answers: Int32Array;
  /** Positions of a given mask. */
  readonly given: Int32Array | undefined;
}

function segmentGoal(index: number, { grid, facts, answers, given }: Segment): Goal {
  const { classStep, positionStep, count } = grid;
  const positions = given ?? Int32Array.from([...answers.keys()].filter((p) => answers[p] === index));
  const places = positions.map((p) => index * classStep + p * positionStep);
  const length = grid.positions * count;
  const goal = {
    name: nameOf(index, count, facts.classes) + (given ? ' in the mask' : ''),
    kind: 'segmentation',
    class: index,
    ...(given ? {} : { key: `segmentation ${index}` }),
    probability: ({ data }: Row) => meanProbability(data, places, { grid, facts, index }),
  };
  return {
    ...linearGoal(goal, () => {
      const weights = new Float32Array(length);
      for (const place of places) weights[place] = 1;
      return weights;
    }),
    value: ({ data }) => places.reduce((sum, place) => sum + data[place], 0),
  };
}

/** One channel is what is not background. */
function nameOf(index: number, count: number, classes: Classes | undefined): string {
  if (count > 1) return className(index, classes);
  return (classes?.length === 2 ? classes[1] : classes?.[0])?.name ?? 'foreground';
}

/** The mean probability of the class over its positions; undefined where there are none, or scores have no probabilities. */
function meanProbability(
  data: Float32Array,
  places: Int32Array,
  { grid, facts, index }: { grid: Grid; facts: Facts; index: number },
): number | undefined {
  const link = baseOf(facts.link);
  if (link === 'none' || places.length === 0) return undefined;
  const { count, classStep } = grid;
  let sum = 0;
  for (const place of places) {
    if (link === 'identity') sum += data[place];
    else if (link === 'sigmoid' || count === 1) sum += 1 / (1 + Math.exp(-data[place]));
    else {
      const first = place - index * classStep;
      let others = 0;
      for (let c = 0; c < count; c++) others += Math.exp(data[first + c * classStep] - data[place]);
      sum += 1 / others;
    }
  }
  return sum / places.length;
}

/** The positions of the output that a mask covers. */
function positionsOf(mask: Mask, dims: readonly number[]): Int32Array {
  const found: number[] = [];
  const [h, w] = mask.dims;
  const { x, y, width, height } = mask.geometry ?? { x: 0, y: 0, width: w, height: h };
  const [rows, columns] = dims;
  if (dims.length === 2)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        const row = Math.floor(y + ((i + 0.5) * height) / rows);
        const column = Math.floor(x + ((j + 0.5) * width) / columns);
        if (row < 0 || row >= h || column < 0 || column >= w) continue;
        if (mask.data[row * w + column] !== 0) found.push(i * columns + j);
      }
  if (found.length > 0) return Int32Array.from(found);
  throw invalid(
    'targets.mask',
    `a mask [h, w] that covers some of the output's ${dims.join(' × ')} positions`,
    mask.dims,
    '',
    'INVALID_TARGET',
  );
}

function checkMask({ data, dims }: Mask): void {
  const isMask =
    isObject(data) &&
    Array.isArray(dims) &&
    dims.length === 2 &&
    data.length === sizeOf(dims) &&
    data.length > 0;
  if (!isMask)
    throw invalid(
      'targets.mask',
      'a file, or {data, dims: [h, w]} with a number a pixel',
      dims,
      '',
      'INVALID_TARGET',
    );
}
