import { invalid, onlyKeys } from '../check.js';
import { checkOutput, classGoal } from './class.js';
import { oneHot } from './common/nodes.js';
import { partsOf } from './common/parts.js';
import { best } from './common/probabilities.js';
import { holdsScores, isObject, type TargetKind } from './target.js';

/** The n best classes of each picture. */
export interface TopTarget {
  readonly top: number;
  /** The output that holds their scores; default: the model's scores. */
  readonly output?: string;
}

/** The n classes with the highest scores, best first; what is explained where nothing is named, with n = 1. */
export const topTarget: TargetKind<TopTarget> = {
  name: 'top',
  help: 'the n best classes of each picture',
  example: 'top:3',
  is: (spec): spec is TopTarget => isObject(spec) && 'top' in spec && !('kind' in spec),
  check: (spec) => {
    onlyKeys('a target with "top"', spec, ['top', 'output']);
    checkTop(spec.top);
    checkOutput(spec.output);
  },
  isOfClasses: true,
  output: ({ output }) => output,
  nodes: ({ top }, b, { value }) => {
    const matrix = b.reshape(value, [0, -1]);
    const [, indices] = b.ops('TopK', [matrix, b.ints([top])], 2, { axis: 1 });
    const count = b.op('Squeeze', [b.op('Shape', [matrix], { start: 1 }), b.ints([0])]);
    return Array.from({ length: top }, (_, t) => {
      const index = b.op('Gather', [indices, b.int(t)], { axis: 1 });
      const seed = b.op('Reshape', [oneHot(b, index, count), b.op('Shape', [value])]);
      return { class: index, place: index, seed };
    });
  },
  isSingle: ({ top }) => top === 1,
  find: ({ top }, row, facts) => {
    if (top > row.data.length)
      throw invalid('targets.top', `a whole number from 1 to ${row.data.length}`, top);
    return best(row.data, top).map((index) => classGoal(index, row, facts));
  },
  parse: (text) => {
    const { what, output } = partsOf(text, ['output']);
    return { top: Number(what), ...(output === undefined ? {} : { output }) };
  },
  fits: ({ output }) => (holdsScores(output) ? { spec: { top: 1 } } : undefined),
};

/** How many, whatever the network. */
export function checkTop(value: unknown): void {
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw invalid('targets.top', 'a whole number of at least 1', value);
}
