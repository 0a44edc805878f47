import { invalid, onlyKeys } from '../check.js';
import { show } from '../errors.js';
import { checkOutput } from './class.js';
import { partsOf } from './common/parts.js';
import {
  baseOf,
  type Classes,
  type Goal,
  isObject,
  linearGoal,
  type Output,
  type TargetKind,
} from './target.js';

/** The number that a network estimates. */
export interface RegressionTarget {
  readonly kind: 'regression';
  /** Explain what makes the number smaller; default false. */
  readonly negative?: boolean;
  /** Which of the output's values, counted from 0; may be left out where there is one. */
  readonly select?: number;
  /** The output that holds it; default: the model's scores. */
  readonly output?: string;
}

/**
 * S = y, the value itself, or S = −y. Grad-CAM (arXiv 1610.02391, Sec. 3.2, "counterfactual explanations") takes the negative
 * for what speaks against; pytorch-grad-cam's RawScoresOutputTarget. It has no probability, and no bounds that are known.
 */
export const regressionTarget: TargetKind<RegressionTarget> = {
  name: 'regression',
  help: 'the value of a regression, or regression:negative',
  example: 'regression',
  is: (spec): spec is RegressionTarget => isObject(spec) && 'kind' in spec && spec.kind === 'regression',
  check: (spec) => {
    onlyKeys('a target of the kind "regression"', spec, ['kind', 'negative', 'select', 'output']);
    if (spec.negative !== undefined && typeof spec.negative !== 'boolean')
      throw invalid('targets.negative', 'true or false', spec.negative, '', 'INVALID_TARGET');
    if (spec.select !== undefined && !(Number.isSafeInteger(spec.select) && spec.select >= 0))
      throw invalid('targets.select', 'a whole number of at least 0', spec.select, '', 'INVALID_TARGET');
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  isConstant: () => true,
  isSingle: () => true,
  find: ({ negative = false, select }, { data }, { classes }) => {
    const count = data.length;
    if (select === undefined && count !== 1)
      throw invalid(
        'targets.select',
        `given, since the output has ${count} values`,
        select,
        '',
        'INVALID_TARGET',
      );
    if (select !== undefined && select >= count)
      throw invalid('targets.select', `a whole number from 0 to ${count - 1}`, select, '', 'INVALID_TARGET');
    return [valueGoal(select ?? 0, negative, { count, classes })];
  },
  parse: (text) => {
    const { what, select, output } = partsOf(text, ['select', 'output']);
    if (what !== '' && what !== 'negative')
      throw invalid('target', 'regression or regression:negative', text);
    return {
      kind: 'regression',
      ...(what === 'negative' ? { negative: true } : {}),
      ...(select === undefined ? {} : { select: Number(select) }),
      ...(output === undefined ? {} : { output }),
    };
  },
  fits: ({ output }) =>
    hasOneValue(output) && baseOf(output.link) !== 'sigmoid'
      ? {
          spec: { kind: 'regression' },
          note: `The output ${show(output.name)} has one value a picture: what makes it larger is explained (smaller: --target regression:negative).`,
        }
      : undefined,
};

/** Whether an output is one number a picture. */
export function hasOneValue({ dims }: Output): boolean {
  return dims.length > 0 && dims.slice(1).every((dim) => dim === 1);
}

function valueGoal(
  index: number,
  negative: boolean,
  { count, classes }: { readonly count: number; readonly classes: Classes | undefined },
): Goal {
  const own = classes?.length === count ? classes[index].name : count === 1 ? 'value' : `value ${index}`;
  const sign = negative ? -1 : 1;
  const goal = {
    name: negative ? `negative ${own}` : own,
    kind: 'regression',
    key: `regression ${sign} ${index}`,
  };
  return linearGoal(goal, () => {
    const weights = new Float32Array(count);
    weights[index] = sign;
    return weights;
  });
}
