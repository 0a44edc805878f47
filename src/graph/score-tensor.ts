import { isFloat } from '../onnx/types.js';
import type { Backward } from './backward.js';
import { is } from './facts.js';
import { type Dim, type Node, type ValueInfo, valueInfo } from './graph.js';
import { type Squash, type Tail, tailOf } from './links.js';
import { isProbable, rangeOf } from './range.js';

/**
 * How probabilities follow from the scores: by softmax or sigmoid; the scores are probabilities themselves; or there are
 * none. A model can also scale, shift and clip what it gives as probabilities.
 */
export type Link = Squash | 'none' | Calibration;

/** clip(scale · f(scores) + shift, least, most) */
export interface Calibration {
  readonly of: Squash;
  readonly scale: number;
  readonly shift: number;
  readonly least: number;
  readonly most: number;
}

/** What a link is called. */
export function linkName(link: Link): string {
  if (typeof link === 'string') return link;
  return `${link.of === 'identity' ? '' : `${link.of}, `}scaled and clipped as the model does`;
}

/** Scores, and how probabilities follow from them. */
interface Found {
  readonly info: ValueInfo;
  readonly link: Link;
  /** The softmax or sigmoid that was stepped over. */
  readonly steppedOver?: Node;
}

/** The scores behind a float value. */
export function scoresBehind(back: Backward, name: string): Found {
  const info = valueInfo(back.graph, name);
  const tail = tailOf(back, name);
  const link = tail && areLaidOutAlike(back.dims(tail.scores), info.dims) ? linkOf(tail) : undefined;
  if (tail && link) return { info: valueInfo(back.graph, tail.scores), link, steppedOver: tail.node };
  const range = rangeOf(back, name);
  if (isProbable(range)) return { info, link: 'identity' };
  const isSquashed = range.every(Number.isFinite) && mixesProbabilities(back, name);
  return { info, link: info.dims?.length === 1 || isSquashed ? 'none' : 'softmax' };
}

/** Whether a value comes of probabilities, with no weights in between: their sum, for example. */
function mixesProbabilities(back: Backward, name: string): boolean {
  const seen = new Set<string>();
  const open = [name];
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    const node = back.node(current);
    if (!node || seen.has(current) || is(node, 'weighs')) continue;
    seen.add(current);
    if (['Softmax', 'Sigmoid', 'HardSigmoid'].includes(node.opType)) return true;
    open.push(...node.inputs.filter(Boolean));
  }
  return false;
}

/** The value of which another is only a layout of its own. */
export function rootOf(back: Backward, name: string): string {
  const node = back.node(name);
  const [input] = node?.inputs ?? [];
  const isLayout =
    node !== undefined && is(node, 'onlyDims') && areLaidOutAlike(back.dims(input), back.dims(name));
  return isLayout && back.node(input) ? rootOf(back, input) : name;
}

/** Whether two values hold the same in the same order, axes of one place apart. */
function areLaidOutAlike(a: readonly Dim[] | undefined, b: readonly Dim[] | undefined): boolean {
  if (!a || !b) return true;
  const [one, other] = [a, b].map((dims) => dims.filter((dim) => dim !== 1));
  return (
    one.length === other.length && one.every((dim, i) => dim === other[i] || dim === '' || other[i] === '')
  );
}

/** undefined where a tail gives no probabilities. */
function linkOf({ of, isLog, scale, shift, least, most }: Tail): Link | undefined {
  if (isLog) return of;
  const range = [Math.max(shift, least), Math.min(scale + shift, most)] as const;
  if (of === 'identity' ? !isProbable([least, most]) : !isProbable(range))
    return of !== 'identity' && Math.abs(shift) < 1e-6 ? of : undefined; // percent, and the like
  const isPlain = Math.abs(scale - 1) < 1e-6 && Math.abs(shift) < 1e-6 && least <= 1e-4 && most >= 1 - 1e-4;
  return isPlain && of !== 'identity' ? of : { of, scale, shift, least, most };
}

/** The float tensor that an output picks or names classes of; the output itself where it is one. */
export function behindPicks(back: Backward, name: string, steps = 16): string | undefined {
  const node = back.maker(name);
  const before = node && pickedFrom(back, node);
  if (before !== undefined && steps > 0) return behindPicks(back, before, steps - 1);
  const { type, dims } = valueInfo(back.graph, name);
  const isTensor = type === undefined ? dims !== undefined && dims.length > 0 : isFloat(type);
  return isTensor ? name : undefined;
}

/** What a node that picks or names classes reads; undefined for other nodes. */
function pickedFrom(back: Backward, node: Node): string | undefined {
  const [first, second] = node.inputs;
  if (node.domain === 'ai.onnx.ml') {
    if (node.opType === 'ArrayFeatureExtractor') return second;
    return node.opType === 'ZipMap' || node.opType === 'LabelEncoder' ? first : undefined;
  }
  if (node.domain !== '') return undefined;
  if (node.opType === 'TopK' || node.opType === 'ArgMax') return first;
  const { type } = valueInfo(back.graph, node.outputs[0]);
  const isPick = type !== undefined && !isFloat(type); // of indices or labels
  if (isPick && node.opType === 'Gather' && back.graph.constants.has(first)) return second;
  return isPick && is(node, 'passThrough') ? first : undefined;
}

/** The names of the classes of a score tensor, where ZipMap or LabelEncoder give them. */
export function classNamesBehind(back: Backward, scores: string): readonly string[] | undefined {
  for (const node of back.graph.nodes) {
    const names = node.domain === 'ai.onnx.ml' ? labelsOf(node) : undefined;
    const picked = names && behindPicks(back, node.outputs[0]);
    if (picked !== undefined && scoresBehind(back, picked).info.name === scores) return names;
  }
  return undefined;
}

function labelsOf(node: Node): readonly string[] | undefined {
  const list = (name: string): readonly string[] | undefined => {
    const attribute = node.attributes.get(name);
    return attribute?.kind === 'strings' || attribute?.kind === 'ints'
      ? attribute.value.map(String)
      : undefined;
  };
  if (node.opType === 'ZipMap') return list('classlabels_strings') ?? list('classlabels_int64s');
  const [keys, values] = [list('keys_int64s'), list('values_strings')];
  if (node.opType !== 'LabelEncoder' || !keys || !values) return undefined;
  const isByIndex = keys.length === values.length && keys.every((key, i) => key === String(i));
  return isByIndex ? values : undefined;
}
