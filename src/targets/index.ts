import { didYouMean, invalid } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { type ClassTarget, classTarget } from './class.js';
import { combinationTarget } from './combination.js';
import { binaryTarget } from './binary.js';
import { captionTarget } from './caption.js';
import { contrastTarget } from './contrast.js';
import { areRawHeads } from './common/detection-layouts.js';
import { detectionTarget } from './detection.js';
import { embeddingTarget } from './embedding.js';
import { expressionTarget } from './expression.js';
import { positionTarget } from './output.js';
import { readingTarget } from './reading.js';
import { regressionTarget } from './regression.js';
import { segmentationTarget } from './segmentation.js';
import {
  type ClassChoice,
  type Facts,
  type Goal,
  holdsScores,
  type NetworkFacts,
  type Output,
  type Ready,
  type Row,
  type TargetKind,
  type Tools,
} from './target.js';
import { type TopTarget, topTarget } from './top.js';

/** Every kind of target. Where none is named, the first that fits the network's output explains it. */
const list = [
  classTarget,
  detectionTarget,
  binaryTarget,
  regressionTarget,
  topTarget,
  segmentationTarget,
  readingTarget,
  captionTarget,
  embeddingTarget,
  contrastTarget,
  positionTarget,
  expressionTarget,
  combinationTarget,
] as const;
const kinds = list as readonly unknown[] as readonly TargetKind[];

/** What to explain of one picture: one of what each kind takes. */
export type Target = SpecOf<(typeof list)[number]>;
type SpecOf<Kind> = Kind extends TargetKind<infer Spec> ? Spec : never;

/** Their names. */
export const targetKinds: readonly string[] = kinds.map(({ name }) => name);

/** Those that an exported model can hold, all or some of what they can ask for. */
export const exportableTargets: readonly string[] = kinds
  .filter(({ nodes, isConstant }) => nodes !== undefined || isConstant !== undefined)
  .map(({ name }) => name);

/** For `--target`: what there is. */
export const targetHelp: readonly string[] = kinds.flatMap(({ example, help }) =>
  example === undefined ? [] : [`${example.padEnd(22)} ${help}`],
);

/** The kind of a target. */
export function kindOf(target: Target): TargetKind<Target> {
  const kind = kinds.find(({ is }) => is(target));
  if (kind) return kind as TargetKind<Target>;
  throw invalid(
    'targets',
    'a class index or name, {class}, {top}, {scores}, {output, select} or {kind, …}',
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

/** The target of an output where none is named. Features of several places are no candidates, pixels or characters. */
export function defaultTarget(network: NetworkFacts): Ready<Target> | undefined {
  const isOfPlaces = ({ areFeatures, dims }: Output) =>
    areFeatures === true && dims.slice(1).filter((dim) => dim !== 1).length > 1;
  if (isOfPlaces(network.output)) return undefined;
  const asked = { ...network, outputs: network.outputs.filter((output) => !isOfPlaces(output)) };
  for (const { fits } of kinds) {
    const found = fits?.(asked);
    if (found) return found as Ready<Target>;
  }
  return undefined;
}

/**
 * A target that is ready for pictures: its files are read, and a class is what the output has of it. `network` is what is known
 * where the target's output is the one that is explained.
 */
export async function prepareTarget(
  target: Target,
  network: NetworkFacts,
  tools: Tools,
): Promise<Ready<Target>> {
  const spec = inOutput(target, network);
  const { name, takes } = kindOf(spec);
  if (takes && !takes.is(network, spec))
    throw new GradcamppError(
      'INVALID_TARGET',
      `The target ${show(name)} is found in ${takes.what}, and the output ${shown(network.output)} holds none; use one of ${fittingKinds(network).join(', ')}, or name another output ("output").`,
    );
  return (await kindOf(spec).prepare?.(spec, network, tools)) ?? { spec };
}

/** The kinds that explain an output, as `--target` names them. */
function fittingKinds(network: NetworkFacts): string[] {
  const chosen = defaultTarget(network);
  const isOfClasses =
    holdsScores(network.output) || (chosen !== undefined && kindOf(chosen.spec).ofClass !== undefined);
  return kinds
    .filter(({ parse, isOfClasses: isClass, takes, fits }) => {
      if (!parse) return false;
      if (isClass) return isOfClasses;
      if (takes) return takes.is(network, {});
      return fits === undefined || fits(network) !== undefined;
    })
    .map(({ name }) => name);
}

/** An output with its dims. */
function shown({ name, dims }: Output): string {
  return `${show(name)} [${dims.map((dim) => dim || '?').join(', ') || '?'}]`;
}

/** A class of an output that holds no scores of classes is a segment or an object there. */
function inOutput(target: Target, network: NetworkFacts): Target {
  if (!kindOf(target).isOfClasses) return target;
  const fitting = defaultTarget(network);
  const kind = fitting && kindOf(fitting.spec);
  const own = kind?.ofClass?.(choiceOf(target), network) as Target | undefined;
  if (own !== undefined)
    return typeof own === 'object' ? ({ ...own, output: outputOf(target) } as Target) : own;
  if (holdsScores(network.output)) return target;
  throw new GradcamppError(
    'INVALID_TARGET',
    `${noScores(network, kind?.name)}; received the target ${show(target)}.`,
  );
}

function choiceOf(target: Target): ClassChoice {
  if (typeof target !== 'object') return { class: target };
  return 'class' in target ? { class: (target as ClassTarget).class } : { top: (target as TopTarget).top };
}

/** That an output holds no scores of classes, and what to do. */
export function noScores(network: NetworkFacts, kind?: string): string {
  const { output } = network;
  const { name, isEmbedding } = output;
  if (isEmbedding)
    return `The output ${shown(output)} holds an embedding, a vector of length 1, and no scores of classes; compare it with another picture (--like FILE, target "embedding"), or name another output ("output")`;
  const choice =
    kind === undefined
      ? `name what to explain ("targets"; for instance --target 'expression:mean(${show(name)})')`
      : `explain its "${kind}" (--target ${kind})`;
  if (kind === undefined && areRawHeads(network))
    return `The output ${shown(output)} is a detector's head of one scale, not decoded: which of its channels are classes cannot be told. Export the network with its boxes decoded, or ${choice}`;
  return `The output ${shown(output)} holds no scores of classes, [N, classes]; ${choice}, or another output ("output")`;
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

/** What was found in one picture, and the target that asked for it. */
export interface FoundGoal {
  readonly goal: Goal;
  readonly target: Target;
}

/** The goals of one picture's targets; those that two targets ask for are explained once. */
export function goalsOf(targets: readonly Target[], row: Row, facts: Facts): FoundGoal[] {
  const goals: FoundGoal[] = [];
  const seen = new Set<string>();
  for (const target of targets)
    for (const goal of kindOf(target).find(target, row, facts)) {
      if (goal.key !== undefined && seen.has(goal.key)) continue;
      if (goal.key !== undefined) seen.add(goal.key);
      goals.push({ goal, target });
    }
  return goals;
}
