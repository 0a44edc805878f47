import { invalid, onlyKeys } from '../check.js';
import { classGoal } from './class.js';
import { best } from './probabilities.js';
import type { TargetKind } from './target.js';

/** The n best classes of each picture. */
export interface TopTarget {
  readonly top: number;
}

/** The n classes with the highest scores, best first; what is explained where nothing is named, with n = 1. */
export const topTarget: TargetKind<TopTarget> = {
  name: 'top',
  help: 'the n best classes of each picture',
  example: 'top:3',
  is: (spec): spec is TopTarget => typeof spec === 'object' && spec !== null && 'top' in spec,
  check: (spec) => {
    onlyKeys('a target with "top"', spec, ['top']);
    if (!Number.isSafeInteger(spec.top) || spec.top < 1)
      throw invalid('targets.top', 'a whole number of at least 1', spec.top);
  },
  isSingle: ({ top }) => top === 1,
  find: ({ top }, row, facts) => {
    if (top > row.data.length)
      throw invalid('targets.top', `a whole number from 1 to ${row.data.length}`, top);
    return best(row.data, top).map((index) => classGoal(index, row, facts));
  },
  parse: (text) => ({ top: Number(text) }),
  fits: ({ dims }) =>
    dims.length <= 2 || dims.slice(2).every((dim) => dim === 1) ? { spec: { top: 1 } } : undefined,
};
