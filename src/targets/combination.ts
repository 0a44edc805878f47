import { invalid, onlyKeys } from '../check.js';
import { isObject, linearGoal, type TargetKind } from './target.js';

/** Any linear combination of the scores. */
export interface CombinationTarget {
  /** One weight a score. */
  readonly scores: Float32Array;
  /** As results call it; default "combination". */
  readonly name?: string;
}

/** Σ_m w_m S_m: several labels, the contrast of two classes. From code alone. */
export const combinationTarget: TargetKind<CombinationTarget> = {
  name: 'combination',
  help: 'any weights of the scores (from code)',
  is: (spec): spec is CombinationTarget => isObject(spec) && 'scores' in spec && !('kind' in spec),
  check: (spec) => {
    onlyKeys('a target with "scores"', spec, ['scores', 'name']);
    if (spec.name !== undefined && typeof spec.name !== 'string')
      throw invalid('targets.name', 'a string', spec.name, '', 'INVALID_TARGET');
  },
  isConstant: () => true,
  isSingle: () => true,
  find: ({ scores, name = 'combination' }, row) => {
    const count = row.data.length;
    if (!(scores instanceof Float32Array) || scores.length !== count || !scores.every(Number.isFinite))
      throw invalid(
        'targets.scores',
        `a Float32Array of ${count} finite weights, one a score`,
        scores,
        '',
        'INVALID_TARGET',
      );
    return [linearGoal({ name, kind: 'combination' }, () => scores.slice())];
  },
};
