import { didYouMean, invalid, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import type { Scores } from '../graph/scores.js';
import type { ClassName } from '../image/sidecar.js';

/**
 * What to explain of one picture: a class index or name, the n best classes, any linear combination of the
 * scores (several labels, the contrast of two classes), or a position of another output.
 */
export type Target =
  | number
  | string
  | { readonly top: number }
  | { readonly scores: Float32Array; readonly name?: string }
  | { readonly output: string; readonly select?: number | readonly number[]; readonly name?: string };

/** One target of one picture, ready for the backward pass. */
export interface Seed {
  /** Class index; undefined for a combination of scores. */
  readonly class: number | undefined;
  readonly name: string;
  /** Upstream gradient over the M scores. */
  readonly weights: Float32Array;
}

/** Output that a target belongs to; undefined is the model's score tensor. */
export function outputOf(target: Target): string | undefined {
  return typeof target === 'object' && 'output' in target ? target.output : undefined;
}

/** Targets as a list for each of `count` pictures. */
export function targetLists(
  targets: Target | readonly Target[],
  perImage: readonly (Target | readonly Target[])[] | undefined,
  count: number,
): (readonly Target[])[] {
  const asList = (given: Target | readonly Target[]) => {
    const list = Array.isArray(given) ? (given as readonly Target[]) : [given as Target];
    if (list.length === 0) throw invalid('targets', 'at least one target', given, '', 'INVALID_TARGET');
    list.forEach(checkTarget);
    return list;
  };
  if (perImage === undefined) {
    const list = asList(targets);
    return Array.from({ length: count }, () => list);
  }
  if (perImage.length !== count)
    throw new GradcamppError(
      'INVALID_TARGET',
      `"targetsPerImage" must have one entry an image, ${count}; received ${perImage.length}. Use "targets" to explain the same in every image.`,
    );
  return perImage.map(asList);
}

/** The keys of each kind of target, that which tells it first. */
const kinds = [['top'], ['scores', 'name'], ['output', 'select', 'name']] as const;

function checkTarget(target: unknown): void {
  if (typeof target === 'number' || typeof target === 'string') return;
  const keys = kinds.find(([key]) => target !== null && typeof target === 'object' && key in target);
  if (!keys)
    throw invalid(
      'targets',
      'a class index or name, {top}, {scores} or {output, select}',
      target,
      '',
      'INVALID_TARGET',
    );
  onlyKeys(`a target with ${JSON.stringify(keys[0])}`, target as object, keys);
  const { output, name } = target as { output?: unknown; name?: unknown };
  for (const [key, value] of Object.entries({ output, name }))
    if (value !== undefined && typeof value !== 'string')
      throw invalid(`targets.${key}`, 'a string', value, '', 'INVALID_TARGET');
}

/** The seeds of one picture's targets; classes that two targets ask for are explained once. */
export function seedsOf(
  targets: readonly Target[],
  scores: Float32Array,
  classes: readonly ClassName[] | undefined,
): Seed[] {
  const seeds: Seed[] = [];
  const seen = new Set<number>();
  const addClass = (index: number) => {
    if (seen.has(index)) return;
    seen.add(index);
    const weights = new Float32Array(scores.length);
    weights[index] = 1;
    seeds.push({ class: index, name: className(index, classes), weights });
  };
  for (const target of targets) {
    if (typeof target === 'number') addClass(classIndex(target, scores.length));
    else if (typeof target === 'string') addClass(indexOfName(target, classes, scores.length));
    else if ('top' in target) {
      wholeNumber('targets.top', target.top, 1, scores.length);
      for (const index of best(scores, target.top)) addClass(index);
    } else if ('scores' in target) seeds.push(combination(target, scores.length));
    else for (const index of selected(target.select, scores.length)) addClass(index);
  }
  return seeds;
}

function classIndex(index: number, count: number): number {
  if (Number.isInteger(index) && index >= 0 && index < count) return index;
  throw new GradcamppError(
    'INVALID_TARGET',
    `"class" must be a whole number from 0 to ${count - 1}, since the model has ${count} classes; received ${index}.`,
  );
}

/** A name, exact or in other case; a number in a string counts as an index. */
function indexOfName(name: string, classes: readonly ClassName[] | undefined, count: number): number {
  const wanted = name.trim().toLowerCase();
  const index = classes?.findIndex((item) => item.name === name || item.wnid === name) ?? -1;
  if (index >= 0) return index;
  const loose = classes?.findIndex((item) => item.name.toLowerCase() === wanted) ?? -1;
  if (loose >= 0) return loose;
  if (/^\d+$/.test(wanted)) return classIndex(Number(wanted), count);
  throw new GradcamppError(
    'INVALID_TARGET',
    classes
      ? `"class" must be an index or one of the ${classes.length} class names; received ${show(name)}. ${didYouMean(
          name,
          classes.map((item) => item.name),
        )}`.trim()
      : `"class" must be an index, since no class names are known; received ${show(name)}. Name them with "classes" in the model's JSON sidecar.`,
  );
}

export function className(index: number, classes: readonly ClassName[] | undefined): string {
  return classes?.[index]?.name ?? String(index);
}

/** Indices of the n largest scores, largest first, the lower index first among equals. */
export function best(scores: ArrayLike<number>, n: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < scores.length; i++) {
    let at = found.length;
    if (at === n && !(scores[found[at - 1]] < scores[i])) continue; // most are
    while (at > 0 && scores[found[at - 1]] < scores[i]) at--;
    found.splice(at, 0, i);
    if (found.length > n) found.pop();
  }
  return found;
}

function combination(target: { scores: Float32Array; name?: string }, count: number): Seed {
  const { scores } = target;
  if (!(scores instanceof Float32Array) || scores.length !== count || !scores.every(Number.isFinite))
    throw invalid(
      'targets.scores',
      `a Float32Array of ${count} finite weights, one a score`,
      scores,
      '',
      'INVALID_TARGET',
    );
  return { class: undefined, name: target.name ?? 'combination', weights: scores };
}

function selected(select: number | readonly number[] | undefined, count: number): number[] {
  if (select === undefined) {
    if (count === 1) return [0];
    throw new GradcamppError(
      'INVALID_TARGET',
      `"targets.select" must say which of the output's ${count} values to explain; received nothing.`,
    );
  }
  const list = Array.isArray(select) ? (select as readonly number[]) : [select as number];
  if (list.length === 0 || list.some((index) => typeof index !== 'number'))
    throw invalid('targets.select', 'a number or a list of numbers', select, '', 'INVALID_TARGET');
  return list.map((index) => classIndex(index, count));
}

/** M: scores beyond the batch axis, which must be known. */
export function scoreCount(scores: Scores): number {
  const dims = scores.info.dims ?? [];
  const rest = dims.slice(1);
  if (dims.length > 0 && rest.every((dim): dim is number => typeof dim === 'number'))
    return rest.reduce((product, dim) => product * dim, 1);
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `The score tensor "${scores.info.name}" has dims [${dims.map((dim) => dim || '?').join(', ')}]; [N, classes] is wanted. Name another with "output".`,
  );
}
