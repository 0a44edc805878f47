import type { Dim } from '../../graph/graph.js';
import { sizeOf } from '../../tensor.js';
import type { Name } from '../../graph/builder.js';
import { extent, reshapeTo } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { withoutZeros } from './elementwise.js';

interface Reduction {
  /** Axes that were reduced, from the front; undefined where they are computed when the model runs. */
  readonly axes: readonly number[] | undefined;
  /** The same as an input of a node. */
  readonly axesInput: Name;
  /** dY and y with the reduced axes kept as 1. */
  readonly dY: Name;
  readonly y: Name;
  /** Dims of those, as far as they are known. */
  readonly dims: readonly Dim[] | undefined;
}

/** What was reduced, with the axes back in place; undefined where nothing was (no axes, noop). */
function reductionOf(pass: Pass): Reduction | undefined {
  const { b, x, y } = pass;
  const all = pass.dims(x[0]);
  const computed = pass.has(1) && !pass.constant(x[1]);
  let axes: number[] | undefined;
  if (!computed) {
    let given = pass.numbers(1);
    if (!given?.length) {
      if (pass.int('noop_with_empty_axes', 0) === 1) return undefined;
      given = all.map((_, i) => i);
    }
    axes = given.map((axis) => pass.axis(axis, all.length)).sort((a, c) => a - c);
  }
  const axesInput = axes ? b.ints(axes) : x[1];
  const keep = (value: Name) =>
    pass.int('keepdims', 1) === 1 ? value : b.op('Unsqueeze', [value, axesInput]);
  const dims = axes && all.map((dim, i) => (axes.includes(i) ? 1 : dim));
  return { axes, axesInput, dY: keep(pass.dY), y: keep(y[0]), dims };
}

/** A rule from the reduction to dX; dX is dY where nothing was reduced. */
function reducing(rule: (pass: Pass, reduction: Reduction) => Name, unreduced?: (pass: Pass) => Name): Rule {
  return (pass) => {
    const reduction = reductionOf(pass);
    if (reduction) return [rule(pass, reduction)];
    return [unreduced ? unreduced(pass) : pass.dY];
  };
}

export const reduceSum: Rule = reducing((pass, { dY, dims }) => pass.expandLike(dY, pass.x[0], dims));

export const reduceMean: Rule = reducing((pass, { axes, axesInput, dY, dims }) => {
  const { b, x } = pass;
  const sizes = axes?.map((axis) => pass.dims(x[0])[axis]);
  const isFixed = sizes?.every((size): size is number => typeof size === 'number');
  const scaled = isFixed
    ? b.scale(dY, 1 / (sizes as number[]).reduce((product, size) => product * size, 1))
    : b.div(dY, countAlong(pass, x[0], axesInput));
  return pass.expandLike(scaled, x[0], dims);
});

/** How many values lie along some axes, as a number of the current float type. */
export function countAlong(pass: Pass, name: Name, axes: readonly number[] | Name): Name {
  const { b } = pass;
  const sizes = typeof axes === 'string' ? [''] : axes.map((axis) => pass.dims(name)[axis]);
  if (sizes.every((size): size is number => typeof size === 'number')) return b.scalar(sizeOf(sizes));
  const along = b.op('Gather', [b.op('Shape', [name]), typeof axes === 'string' ? axes : b.ints(axes)]);
  return b.asFloat(b.op('ReduceProd', [along], { keepdims: 0 }));
}

/** Maximum or minimum: tied winners share dY equally. */
export const reduceExtreme: Rule = reducing((pass, { axesInput, dY, y }) => {
  const { b, x } = pass;
  const mask = b.asFloat(b.op('Equal', [x[0], y]));
  return b.mul(b.div(dY, b.op('ReduceSum', [mask, axesInput])), mask);
});

/** 0 at 0. */
export const reduceL1: Rule = reducing(
  ({ b, x }, { dY }) => b.mul(dY, b.op('Sign', [x[0]])),
  ({ b, x, dY }) => b.mul(dY, b.op('Sign', [x[0]])),
);

/** x/y, and 0 where the norm is 0. */
export const reduceL2: Rule = reducing(
  ({ b, x }, { dY, y }) => b.mul(x[0], b.div(dY, withoutZeros(b, y))),
  ({ b, x, dY }) => b.mul(dY, b.op('Sign', [x[0]])),
);

export const reduceSumSquare: Rule = reducing(
  ({ b, x }, { dY }) => b.mul(b.scale(dY, 2), x[0]),
  ({ b, x, dY }) => b.mul(b.scale(dY, 2), x[0]),
);

/** y = ln Σx: dY/Σx. */
export const reduceLogSum: Rule = reducing(
  (pass, { dY, y, dims }) => {
    const { b, x } = pass;
    return pass.expandLike(b.mul(dY, b.op('Exp', [b.neg(y)])), x[0], dims);
  },
  ({ b, x, dY }) => b.div(dY, x[0]),
);

/** The softmax of x along the reduced axes. */
export const reduceLogSumExp: Rule = reducing(({ b, x }, { dY, y }) =>
  b.mul(dY, b.op('Exp', [b.sub(x[0], y)])),
);

/** dY times the product of the others. */
export const reduceProd: Rule = reducing((pass, reduction) => {
  const { axes } = reduction;
  const isFixed = axes?.every((axis) => typeof pass.dims(pass.x[0])[axis] === 'number');
  const others = axes && isFixed ? productOfOthers(pass, axes) : productByDivision(pass, reduction.axesInput);
  return pass.b.mul(reduction.dY, others);
});

/**
 * The product of all values before times that of all values after, each in log₂ n steps of doubling reach. Only
 * products: exact where values are 0, at any order of differentiation.
 */
function productOfOthers(pass: Pass, axes: readonly number[]): Name {
  const { b, x } = pass;
  const dims = pass.dims(x[0]);
  const rest = dims.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]));
  const perm = [...rest, ...axes];
  const length = axes.reduce((product, axis) => product * (dims[axis] as number), 1);
  const rows = b.reshape(b.transpose(x[0], perm), [-1, length]);
  const shifted = (value: Name, by: number) => b.op('Pad', [value, b.ints([0, by, 0, -by]), b.scalar(1)]);
  const running = (direction: 1 | -1) => {
    let product = shifted(rows, direction);
    for (let reach = 1; reach < length - 1; reach *= 2)
      product = b.mul(product, shifted(product, direction * reach));
    return product;
  };
  const others = b.mul(running(1), running(-1));
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  const moved = perm.map((axis) => extent(pass, x[0], axis));
  return b.transpose(reshapeTo(pass, others, moved), inverse);
}

/**
 * Where the number of values is not known: y/x, with the zeros taken out (one zero gets the product of the others,
 * several get 0). Differentiated again it is exact where no value is 0.
 */
function productByDivision(pass: Pass, axes: Name): Name {
  const { b, x } = pass;
  const isZero = b.op('Equal', [x[0], b.zero()]);
  const zeros = b.op('ReduceSum', [b.asFloat(isZero), axes]);
  const nonZero = withoutZeros(b, x[0]);
  const product = b.op('ReduceProd', [nonZero, axes]);
  const zerosElsewhere = b.sub(zeros, b.asFloat(isZero));
  const alone = b.op('Equal', [zerosElsewhere, b.zero()]);
  return b.where(alone, b.div(product, nonZero), b.zero());
}
