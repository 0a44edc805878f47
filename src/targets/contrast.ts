import { invalid, onlyKeys } from '../check.js';
import { checkClass, checkOutput, classOf, className } from './class.js';
import { partsOf, typedClass } from './common/parts.js';
import { best } from './common/probabilities.js';
import { baseOf, type Goal, holdsScores, isObject, linearGoal, type Row, type TargetKind } from './target.js';

/** What tells a class from its rivals. */
export interface ContrastTarget {
  readonly kind: 'contrast';
  /** Index or name; default: the best class of the picture. */
  readonly class?: number | string;
  /** The classes that it is told from, indexes or names; default: the nearest in score. */
  readonly rivals?: readonly (number | string)[];
  /** How many are the nearest; default 2. */
  readonly nearest?: number;
  /** How much the rivals count; default 0.6. */
  readonly gamma?: number;
  /** The output that holds the scores; default: the model's scores. */
  readonly output?: string;
}

/**
 * S = S_c − γ · mean_{d ∈ D} S_d: the score of class c against its rivals D. Finer-CAM (Zhang et al., arXiv 2501.11309, Eq. 4),
 * γ = 0.6.
 *
 * Rivals are given, or those n classes whose scores are nearest to S_c in the picture, |S_d − S_c| least first, the lower index
 * first among equals; n = 2 by default, the paper has 3. They stay the rivals in changed pictures. The probability is that of c if
 * it is c or one of D: softmax over these scores alone.
 */
export const contrastTarget: TargetKind<ContrastTarget> = {
  name: 'contrast',
  help: 'a class against those nearest in score; :rivals=A,B, :nearest=N, :gamma=NUMBER',
  example: 'contrast:dog',
  is: (spec): spec is ContrastTarget => isObject(spec) && 'kind' in spec && spec.kind === 'contrast',
  check: (spec) => {
    onlyKeys('a target of the kind "contrast"', spec, keys);
    if (spec.class !== undefined) checkClass(spec.class);
    if (spec.rivals !== undefined) {
      if (!Array.isArray(spec.rivals) || spec.rivals.length === 0)
        throw invalid('targets.rivals', 'a list of classes', spec.rivals, '', 'INVALID_TARGET');
      spec.rivals.forEach(checkClass);
      if (spec.nearest !== undefined)
        throw invalid(
          'targets.nearest',
          'left out where "rivals" are given',
          spec.nearest,
          '',
          'INVALID_TARGET',
        );
    }
    if (spec.nearest !== undefined && !(Number.isSafeInteger(spec.nearest) && spec.nearest >= 1))
      throw invalid('targets.nearest', 'a whole number of at least 1', spec.nearest, '', 'INVALID_TARGET');
    if (spec.gamma !== undefined && !Number.isFinite(spec.gamma))
      throw invalid('targets.gamma', 'a number', spec.gamma, '', 'INVALID_TARGET');
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  takes: { what: 'scores of classes, [N, classes]', is: ({ output }) => holdsScores(output) },
  isConstant: (spec) => spec.class !== undefined && spec.rivals !== undefined,
  constantIf: 'class and rivals (contrast:CLASS:rivals=A,B)',
  isSingle: () => true,
  find: ({ class: named, rivals, nearest = 2, gamma = 0.6 }, { data }, { classes, link }) => {
    const count = data.length;
    const own = named === undefined ? best(data, 1)[0] : classOf(named, count, classes);
    const others = rivals?.map((rival) => classOf(rival, count, classes)) ?? nearestTo(own, data, nearest);
    if (others.includes(own))
      throw invalid(
        'targets.rivals',
        'other classes than the explained one',
        className(own, classes),
        '',
        'INVALID_TARGET',
      );
    const against = others.map((index) => className(index, classes)).join(', ');
    const goal = {
      name: `${className(own, classes)} against ${against}`,
      kind: 'contrast',
      class: own,
      key: `contrast ${gamma} ${own} ${others.join(' ')}`,
      probability: (row: Row) => (baseOf(link) === 'none' ? undefined : shareAmong(row, own, others)),
    };
    return [contrastGoal(goal, { own, others, gamma, count })];
  },
  parse: (text) => {
    const { what, rivals, nearest, gamma, output } = partsOf(text, ['rivals', 'nearest', 'gamma', 'output']);
    return {
      kind: 'contrast',
      ...(what === '' ? {} : { class: typedClass(what) }),
      ...(rivals === undefined ? {} : { rivals: rivals.split(',').map((item) => typedClass(item.trim())) }),
      ...(nearest === undefined ? {} : { nearest: Number(nearest) }),
      ...(gamma === undefined ? {} : { gamma: Number(gamma) }),
      ...(output === undefined ? {} : { output }),
    };
  },
};

const keys = ['kind', 'class', 'rivals', 'nearest', 'gamma', 'output'];

function contrastGoal(
  goal: Omit<Goal, 'value' | 'seed'>,
  { own, others, gamma, count }: { own: number; others: readonly number[]; gamma: number; count: number },
): Goal {
  return linearGoal(goal, () => {
    const weights = new Float32Array(count);
    weights[own] = 1;
    for (const other of others) weights[other] -= gamma / others.length;
    return weights;
  });
}

function nearestTo(own: number, scores: Float32Array, n: number): number[] {
  if (scores.length < 2)
    throw invalid(
      'targets.kind',
      'one for an output of one score',
      'contrast',
      'It needs a rival.',
      'INVALID_TARGET',
    );
  const nearness = scores.map((score, index) =>
    index === own ? Number.NEGATIVE_INFINITY : -Math.abs(score - scores[own]),
  );
  return best(nearness, Math.min(n, scores.length - 1));
}

function shareAmong({ data }: Row, own: number, others: readonly number[]): number {
  return 1 / others.reduce((sum, other) => sum + Math.exp(data[other] - data[own]), 1);
}
