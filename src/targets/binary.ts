import { invalid, onlyKeys } from '../check.js';
import { show } from '../errors.js';
import { checkOutput } from './class.js';
import { partsOf, typedClass } from './common/parts.js';
import { probabilitiesOf } from './common/probabilities.js';
import { hasOneValue } from './regression.js';
import {
  baseOf,
  type Classes,
  type Goal,
  isObject,
  linearGoal,
  type Row,
  type TargetKind,
} from './target.js';

/** One of the two classes of a single score. */
export interface BinaryTarget {
  readonly kind: 'binary';
  /** 1 or 'positive', 0 or 'negative', or the name of one; default: the one that the score speaks for. */
  readonly class?: number | string;
  /** The output that holds the score; default: the model's scores. */
  readonly output?: string;
}

/**
 * S = y for the positive class of a single score y, S = −y for the negative one: with p = σ(y) their probabilities are p and 1 − p,
 * and −y is what the sigmoid of the negative class is taken of. pytorch-grad-cam's BinaryClassifierOutputTarget.
 *
 * Where no class is named the answer is explained: the positive class where p is at least one half. Two names are those of the
 * negative and the positive class, one is that of the positive.
 */
export const binaryTarget: TargetKind<BinaryTarget> = {
  name: 'binary',
  help: 'the positive or negative class of a single score; default: the answer',
  example: 'binary:negative',
  is: (spec): spec is BinaryTarget => isObject(spec) && 'kind' in spec && spec.kind === 'binary',
  check: (spec) => {
    onlyKeys('a target of the kind "binary"', spec, ['kind', 'class', 'output']);
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  takes: {
    what: 'one score a picture, [N, 1]',
    is: ({ output }) => output.dims.slice(1).every((dim) => dim === 1 || typeof dim === 'string'),
  },
  isConstant: (spec) => spec.class !== undefined,
  nodes: (_, b, { value, dims, network }) => {
    const { link } = network.output;
    if (typeof link === 'object') return undefined;
    const row = b.reshape(value, [-1]);
    const isPositive = b.op('Not', [b.op('Less', [row, b.scalar(link === 'identity' ? 0.5 : 0)])]);
    const sign = b.reshape(
      b.where(isPositive, b.scalar(1), b.scalar(-1)),
      dims.map((_, axis) => (axis === 0 ? -1 : 1)),
    );
    return [{ class: b.asInt(isPositive), seed: sign }];
  },
  constantIf: 'one of the two (binary:positive, binary:negative)',
  isSingle: () => true,
  find: ({ class: named }, row, { classes, link }) => {
    if (row.data.length !== 1)
      throw invalid(
        'targets.kind',
        `one for an output of ${row.data.length} values`,
        'binary',
        'It is for one score a picture.',
        'INVALID_TARGET',
      );
    const shareOf = ({ data }: Row) =>
      probabilitiesOf(data, baseOf(link) === 'softmax' ? 'sigmoid' : link)?.[0];
    const share = shareOf(row);
    const isAnswer = share === undefined ? row.data[0] >= 0 : share >= 0.5;
    const isPositive = named === undefined ? isAnswer : isPositiveClass(named, classes);
    return [classGoal(isPositive, classes, shareOf)];
  },
  parse: (text) => {
    const { what, output } = partsOf(text, ['output']);
    return {
      kind: 'binary',
      ...(what === '' ? {} : { class: typedClass(what) }),
      ...(output === undefined ? {} : { output }),
    };
  },
  fits: ({ output }) =>
    hasOneValue(output) && baseOf(output.link) === 'sigmoid'
      ? {
          spec: { kind: 'binary' },
          note: `The output ${show(output.name)} has one score a picture, with a sigmoid: the class that it speaks for is explained, positive or negative (--target binary:positive or binary:negative for one of them).`,
        }
      : undefined,
  // With names for both, a class is one of them; without, it is the score, as everywhere.
  ofClass: (choice, { classes }) =>
    'class' in choice && classes?.length === 2 ? { kind: 'binary', class: choice.class } : undefined,
};

function classGoal(
  isPositive: boolean,
  classes: Classes | undefined,
  shareOf: (row: Row) => number | undefined,
): Goal {
  const sign = isPositive ? 1 : -1;
  const goal = {
    name: nameOf(isPositive, classes),
    kind: 'binary',
    class: isPositive ? 1 : 0,
    key: `binary ${sign}`,
    probability: (row: Row) => {
      const share = shareOf(row);
      return share === undefined || isPositive ? share : 1 - share;
    },
  };
  return linearGoal(goal, () => Float32Array.of(sign));
}

function nameOf(isPositive: boolean, classes: Classes | undefined): string {
  if (classes?.length === 2) return classes[isPositive ? 1 : 0].name;
  if (classes?.length === 1) return isPositive ? classes[0].name : `not ${classes[0].name}`;
  return isPositive ? 'positive' : 'negative';
}

function isPositiveClass(named: number | string, classes: Classes | undefined): boolean {
  for (const isPositive of [true, false]) {
    const known = [Number(isPositive), isPositive ? 'positive' : 'negative', nameOf(isPositive, classes)];
    if (known.some((name) => String(name).toLowerCase() === String(named).trim().toLowerCase()))
      return isPositive;
  }
  const names = classes ? `, ${show(nameOf(true, classes))} or ${show(nameOf(false, classes))}` : '';
  throw invalid('class', `1 or "positive", 0 or "negative"${names}`, named, '', 'INVALID_TARGET');
}
