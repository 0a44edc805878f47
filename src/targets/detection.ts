import { invalid, oneOf, onlyKeys } from '../check.js';
import { boxFormats, type BoxFormat, differentObjects, overlap } from './common/boxes.js';
import { type Candidates, candidatesIn } from './common/candidates.js';
import { checkClass, checkOutput, classOf, className } from './class.js';
import { detectionNodes } from './common/detection-nodes.js';
import {
  type LayoutName,
  layouts,
  noteOf,
  type Plan,
  planFor,
  type Scale,
  unfitting,
} from './common/detection-layouts.js';
import { partsOf, typedClass } from './common/parts.js';
import { type Box, type Facts, type Goal, isObject, type Row, type TargetKind } from './target.js';
import { checkTop } from './top.js';

/** Objects that a detector finds. */
export interface DetectionTarget {
  readonly kind: 'detection';
  /** Of this class, index or name; default: each candidate of the class that it says most of. */
  readonly class?: number | string;
  /** The n best objects, none of which overlaps a better one by more than half; default 1. */
  readonly top?: number;
  /** Instead of the best: the candidate that overlaps this box most, in pixels of the network's input. */
  readonly at?: Box;
  /** Instead of the best: this candidate, counted from 0. */
  readonly index?: number;
  /** How outputs hold candidates; default: told from dims, names and metadata. */
  readonly layout?: LayoutName;
  /** How four numbers are a box; default: as the layout has it, or as the numbers say. */
  readonly format?: BoxFormat;
  /** The output that holds the scores; default: found. */
  readonly output?: string;
}

/** The same when it is known where the candidates are. */
interface Planned extends DetectionTarget {
  readonly plan: Plan;
}

/** Candidates that share more of their area are one object. */
const mostOverlap = 0.5;

/**
 * S = s_c(i): what candidate i says of class c, as the output gives it (before a softmax or sigmoid that can be stepped over);
 * where candidates have an objectness o(i), S = o(i) · s_c(i). Scores and objectness that are no probabilities get the sigmoid that
 * the export left out. As in pytorch-grad-cam's and YOLO-CAM's examples, of one candidate and not summed over many.
 *
 * The candidate is chosen in the picture: the best one (of a class), the one that overlaps a given box most (intersection over
 * union), or a given one. The n best are n different objects: chosen greedily, each overlapping none of the better ones by more
 * than one half, whatever their classes. It stays the chosen one in changed pictures, by its index among all candidates; so what
 * is behind a NonMaxSuppression in the graph is explained before it.
 *
 * Layouts, told from dims, names and metadata, and said in a note: `yolov5` [N, candidates, 5 + classes] with box, objectness and
 * classes (YOLOX, too); `yolov8` [N, 4 + classes, candidates] (YOLO11, too); `end2end` [N, n, 6], corners, score and class of few
 * candidates (YOLOv10), which are found again in changed pictures by class and box, since they are sorted; `ssd` scores
 * [N, candidates, classes] and boxes [N, candidates, 4] (RetinaNet, too), of all scales or an output a scale (BlazeFace); `detr` the same with queries, a softmax whose last
 * class is no object, and boxes of centre and size (YOLOS, too); `nms` what a NonMaxSuppression reads.
 *
 * Boxes in results are in pixels of the network's input; boxes in 0…1 are scaled by its size. Where the output only has offsets
 * from anchors that it does not tell, results have no box, and the n best may be one object.
 */
export const detectionTarget: TargetKind<DetectionTarget> = {
  name: 'detection',
  help: 'an object, the best or of a class; :top=N, :at=X,Y,WIDTH,HEIGHT, :layout=NAME',
  example: 'detection:dog:top=2',
  is: (spec): spec is DetectionTarget => isObject(spec) && 'kind' in spec && spec.kind === 'detection',
  check: (spec) => {
    onlyKeys('a target of the kind "detection"', spec, keys);
    if (spec.class !== undefined) checkClass(spec.class);
    if (spec.top !== undefined) checkTop(spec.top);
    if (spec.at !== undefined) checkBox(spec.at);
    if (spec.index !== undefined && !(Number.isSafeInteger(spec.index) && spec.index >= 0))
      throw invalid('targets.index', 'a whole number of at least 0', spec.index, '', 'INVALID_TARGET');
    if ([spec.top, spec.at, spec.index].filter((value) => value !== undefined).length > 1)
      throw invalid('targets', 'one of "top", "at" and "index"', spec, '', 'INVALID_TARGET');
    if (spec.layout !== undefined) oneOf('targets.layout', spec.layout, layouts);
    if (spec.format !== undefined) oneOf('targets.format', spec.format, boxFormats);
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  reads: (spec) => {
    const { boxes, scales, unstepped } = 'plan' in spec ? (spec as Planned).plan : ({} as Partial<Plan>);
    return [...(scales?.map((scale) => scale.boxes) ?? [boxes]), unstepped].filter(
      (name) => name !== undefined,
    );
  },
  nodes: async ({ class: named, top = 1, at, index, ...spec }, b, output) => {
    const { plan } = spec as Planned;
    const { row, facts } = await output.probe();
    const candidates = candidatesIn(row, facts, plan);
    const count = classCount(candidates, plan);
    const of = named === undefined ? undefined : classOf(named, count, facts.classes) - candidates.label;
    if (of !== undefined && of < 0) throw noObject(named);
    return detectionNodes(b, output, { plan, class: of, top, at, index, mostOverlap });
  },
  isSingle: ({ top = 1 }) => top === 1,
  prepare: (spec, network, tools) => {
    const plan = planFor(network, spec);
    if (!plan) throw unfitting(network, spec.layout);
    const single = plan.scores.value === network.output.value ? spec.output : plan.scores.name;
    const output = plan.scales ? tools.join(valuesOf(plan.scales)).output : single;
    const planned: Planned = { ...spec, ...(output === undefined ? {} : { output }), plan };
    return { spec: planned, ...(spec.layout === undefined ? { note: noteOf(plan, false) } : {}) };
  },
  find: (spec, row, facts) => {
    const candidates = candidatesIn(row, facts, (spec as Planned).plan);
    return chosen(spec as Planned, candidates, row, facts).map(([i, c]) =>
      objectGoal(i, c, { candidates, row, facts }),
    );
  },
  parse: (text) => {
    const { what, top, at, index, layout, format, output } = partsOf(text, typedKeys);
    return {
      kind: 'detection',
      ...(what === '' ? {} : { class: typedClass(what) }),
      ...(top === undefined ? {} : { top: Number(top) }),
      ...(at === undefined ? {} : { at: typedBox(at) }),
      ...(index === undefined ? {} : { index: Number(index) }),
      ...(layout === undefined ? {} : { layout: layout as LayoutName }),
      ...(format === undefined ? {} : { format: format as BoxFormat }),
      ...(output === undefined ? {} : { output }),
    };
  },
  fits: (network) => {
    const plan = planFor(network, {});
    if (!plan) return undefined;
    const isOwn = plan.scores.value === network.output.value;
    return {
      spec: { kind: 'detection', ...(isOwn ? {} : { output: plan.scores.name }) },
      note: noteOf(plan, true),
      isWhole: plan.boxes !== undefined,
      ...(plan.scales ? { joins: valuesOf(plan.scales) } : {}),
    };
  },
  ofClass: (choice) => ({ kind: 'detection', ...choice }),
};

/** The scores of every scale, whose candidates are explained as one list. */
const valuesOf = (scales: readonly Scale[]) => scales.map(({ scores }) => scores.value);

const typedKeys = ['top', 'at', 'index', 'layout', 'format', 'output'] as const;
const keys = ['kind', 'class', ...typedKeys];

/** Candidate and class of each object. */
function chosen(
  { class: named, top = 1, at, index, plan }: Planned,
  candidates: Candidates,
  row: Row,
  { classes, isBlank }: Facts,
): (readonly [candidate: number, of: number])[] {
  const { count, label } = candidates;
  const own = named === undefined ? undefined : classOf(named, classCount(candidates, plan), classes) - label;
  if (own !== undefined && own < 0) throw noObject(named);
  const of = own === undefined ? candidates.bestClasses() : new Int32Array(count).fill(own);
  if (index !== undefined) {
    if (index < count) return [[index, of[index]]];
    throw invalid('targets.index', `a whole number from 0 to ${count - 1}`, index, '', 'INVALID_TARGET');
  }
  if (at) {
    const shared = Float64Array.from(of, (_, i) => overlapAt(candidates, i, at));
    const most = shared.reduce((a, b) => Math.max(a, b), 0);
    if (isBlank) return [];
    if (most > 0) return [[shared.indexOf(most), of[shared.indexOf(most)]]];
    throw invalid(
      'targets.at',
      'a box in pixels of the input that overlaps one of the candidates',
      [at.x, at.y, at.width, at.height],
      '',
      'INVALID_TARGET',
    );
  }
  const ranks = Float64Array.from(of, (c, i) => candidates.probability(row, i, c));
  return differentObjects(ranks, candidates.box, { n: top, most: mostOverlap }).map((i) => [i, of[i]]);
}

/** As many classes as can be named; a list of what is left of all candidates does not tell. */
function classCount({ classes, label }: Candidates, { layout, named }: Plan): number {
  return layout === 'end2end' ? (named ?? Number.MAX_SAFE_INTEGER) : classes + label;
}

function noObject(named: unknown) {
  return invalid('class', 'a class of objects; 0 is the background', named, '', 'INVALID_TARGET');
}

function overlapAt({ box }: Candidates, i: number, at: Box): number {
  const own = box(i);
  return own ? overlap(own, at) : 0;
}

interface Found {
  readonly candidates: Candidates;
  readonly row: Row;
  readonly facts: Facts;
}

function objectGoal(i: number, c: number, { candidates, facts }: Found): Goal {
  const { score, slopes, probability, label } = candidates;
  const index = c + label;
  const box = candidates.box(i);
  const isOnly = candidates.classes === 1 && !facts.classes;
  return {
    name: isOnly ? 'object' : className(index, facts.classes),
    kind: 'detection',
    class: index,
    key: `detection ${i} ${c}`,
    value: (row) => score(row, i, c),
    seed: (row) => {
      const seed = new Float32Array(row.data.length);
      for (const [place, slope] of slopes(row, i, c)) seed[place] += slope;
      return seed;
    },
    probability: (row) => probability(row, i, c),
    ...(box ? { box } : {}),
  };
}

function typedBox(text: string): Box {
  const [x, y, width, height, ...more] = text.split(',').map(Number);
  if (more.length > 0 || height === undefined) throw invalid('target', 'at=X,Y,WIDTH,HEIGHT', text);
  return { x, y, width, height };
}

function checkBox(box: Box): void {
  const { x, y, width, height } = isObject(box) ? box : ({} as Box);
  if ([x, y, width, height].every(Number.isFinite) && width > 0 && height > 0) return;
  throw invalid('targets.at', '{x, y, width, height} in pixels of the input', box, '', 'INVALID_TARGET');
}
