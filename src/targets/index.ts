import { didYouMean, invalid } from '../check.js';
import { GradcamppError } from '../errors.js';
import { classTarget } from './class.js';
import { type CombinationTarget, combinationTarget } from './combination.js';
import { type PositionTarget, positionTarget } from './position.js';
import type { Facts, Goal, Row, TargetKind } from './target.js';
import { type TopTarget, topTarget } from './top.js';

/** Every kind of target; the first that knows a target as its own explains it. */
const kinds = [classTarget, topTarget, combinationTarget, positionTarget] as readonly TargetKind[];

/** What to explain of one picture. */
export type Target = number | string | TopTarget | CombinationTarget | PositionTarget;

/** For `--target`: what there is. */
export const targetHelp: readonly string[] = kinds.flatMap(({ example, help }) =>
  example === undefined ? [] : [`${example.padEnd(20)} ${help}`],
);

/** The kind of a target. */
export function kindOf(target: Target): TargetKind<Target> {
  const kind = kinds.find(({ is }) => is(target));
  if (kind) return kind as TargetKind<Target>;
  throw invalid(
    'targets',
    'a class index or name, {top}, {scores} or {output, select}',
    target,
    '',
    'INVALID_TARGET',
  );
}

/** A target as the command line spells it: `kind:what`, or a class. */
export function parseTarget(text: string): Target {
  const at = text.indexOf(':');
  const name = at < 0 ? text : text.slice(0, at);
  const kind = kinds.find((item) => item.name === name && item.parse);
  if (kind?.parse) return kind.parse(at < 0 ? '' : text.slice(at + 1)) as Target;
  const names = kinds.filter(({ parse }) => parse).map((item) => item.name);
  throw invalid('target', `KIND:WHAT with one of ${names.join(', ')}`, text, didYouMean(name, names));
}

/** The target of an output where none is named. */
export function defaultTarget(output: Parameters<NonNullable<TargetKind['fits']>>[0]) {
  for (const { fits } of kinds) {
    const found = fits?.(output);
    if (found) return found as { readonly spec: Target; readonly note?: string };
  }
  return undefined;
}

/** Targets as a list for each of `count` pictures, checked. */
export function targetLists(
  targets: Target | readonly Target[],
  perImage: readonly (Target | readonly Target[])[] | undefined,
  count: number,
): (readonly Target[])[] {
  const asList = (given: Target | readonly Target[]) => {
    const list = Array.isArray(given) ? (given as readonly Target[]) : [given as Target];
    if (list.length === 0) throw invalid('targets', 'at least one target', given, '', 'INVALID_TARGET');
    for (const target of list) kindOf(target).check(target);
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

/** Output that a target is found in; undefined is the model's score tensor. */
export function outputOf(target: Target): string | undefined {
  return kindOf(target).output?.(target);
}

/** Other outputs that targets read. */
export function readsOf(targets: readonly Target[]): string[] {
  return [...new Set(targets.flatMap((target) => kindOf(target).reads?.(target) ?? []))];
}

/** Whether a run of one such target has one result a picture. */
export function isSingle(target: Target): boolean {
  return kindOf(target).isSingle(target);
}

/** The goals of one picture's targets; those that two targets ask for are explained once. */
export function goalsOf(targets: readonly Target[], row: Row, facts: Facts): Goal[] {
  const goals: Goal[] = [];
  const seen = new Set<string>();
  for (const target of targets)
    for (const goal of kindOf(target).find(target, row, facts)) {
      if (goal.key !== undefined && seen.has(goal.key)) continue;
      if (goal.key !== undefined) seen.add(goal.key);
      goals.push(goal);
    }
  return goals;
}
