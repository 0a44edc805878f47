import { isFloat } from '../onnx/types.js';
import { floatAttribute, intAttribute } from './attributes.js';
import type { Backward } from './backward.js';
import { reducedAxes } from './channels.js';
import { is } from './facts.js';
import type { Node } from './graph.js';

/** The functions that make probabilities of scores. */
export type Squash = 'softmax' | 'sigmoid' | 'identity';

/** A value as a function of scores: clip(scale · f(scores) + shift, least, most), or the logarithm of that. */
export interface Tail {
  /** The value before the function. */
  readonly scores: string;
  readonly of: Squash;
  /** The node that is the function, or the last one of those that spell it out. */
  readonly node: Node;
  readonly isLog: boolean;
  readonly scale: number;
  readonly shift: number;
  readonly least: number;
  readonly most: number;
}

const plain = {
  isLog: false,
  scale: 1,
  shift: 0,
  least: Number.NEGATIVE_INFINITY,
  most: Number.POSITIVE_INFINITY,
};

/** Tails are short; what is longer is no tail. */
const mostSteps = 24;

/**
 * What a value is as a function of scores, if a softmax, a sigmoid or a clip stands between: as a node of its own or
 * spelled out, with what only lays values out otherwise, scales, shifts or clips them behind it.
 */
export function tailOf(back: Backward, name: string, steps = mostSteps): Tail | undefined {
  const found = squashAt(back, name);
  if (found) return found;
  const node = back.node(name);
  if (!node || steps === 0) return undefined;
  const before = (input: string) => tailOf(back, input, steps - 1);
  if (node.opType === 'Cast' && !isFloat(intAttribute(node, 'to', 0))) return undefined; // rounded
  if (is(node, 'passThrough') || node.opType === 'Transpose' || keepsAll(back, node))
    return before(node.inputs[0]);
  if (node.opType === 'Clip') return clipped(back, node, before(node.inputs[0]));
  if (node.opType === 'Log') {
    const tail = before(node.inputs[0]);
    return tail && !tail.isLog && tail.of !== 'identity' ? { ...tail, isLog: true } : undefined;
  }
  if (node.opType === 'Exp') {
    const tail = before(node.inputs[0]);
    return tail?.isLog ? { ...tail, isLog: false } : undefined;
  }
  return scaled(back, node, before);
}

/** Slice, Expand and Pad that change nothing. */
function keepsAll(back: Backward, node: Node): boolean {
  if (!['Slice', 'Expand', 'Pad', 'Tile'].includes(node.opType)) return false;
  const [from, to] = [node.inputs[0], node.outputs[0]].map((name) => back.dims(name));
  const isSame = from?.length === to?.length && from?.every((dim, i) => dim !== '' && dim === to?.[i]);
  return isSame === true && (node.opType !== 'Slice' || !node.inputs[4] || back.number(node.inputs[4]) === 1);
}

function clipped(back: Backward, node: Node, tail: Tail | undefined): Tail | undefined {
  const least = node.inputs[1] ? back.number(node.inputs[1]) : Number.NEGATIVE_INFINITY;
  const most = node.inputs[2] ? back.number(node.inputs[2]) : Number.POSITIVE_INFINITY;
  if (least === undefined || most === undefined) return undefined;
  if (tail?.isLog) return tail; // against the logarithm of 0
  if (tail) return { ...tail, least: Math.max(least, tail.least), most: Math.min(most, tail.most) };
  const isBounded = Number.isFinite(least) && Number.isFinite(most);
  return isBounded ? { ...plain, scores: node.inputs[0], of: 'identity', node, least, most } : undefined;
}

/** A tail times a positive number, or moved by one. */
function scaled(back: Backward, node: Node, before: (input: string) => Tail | undefined): Tail | undefined {
  if (!['Mul', 'Div', 'Add', 'Sub'].includes(node.opType)) return undefined;
  const operands = back.withNumber(node);
  const tail = operands && before(operands.value);
  if (!operands || !tail) return undefined;
  const { number, isFirst } = operands;
  if (!isFirst && (node.opType === 'Div' || node.opType === 'Sub')) return undefined;
  const factor = node.opType === 'Mul' ? number : node.opType === 'Div' ? 1 / number : 1;
  const shift = node.opType === 'Add' ? number : node.opType === 'Sub' ? -number : 0;
  if (!(factor > 0) || !Number.isFinite(factor)) return undefined;
  if (tail.isLog) return tail;
  return {
    ...tail,
    scale: tail.scale * factor,
    shift: tail.shift * factor + shift,
    least: tail.least * factor + shift,
    most: tail.most * factor + shift,
  };
}

/** Softmax, log-softmax, sigmoid or hard sigmoid at a value. */
function squashAt(back: Backward, name: string): Tail | undefined {
  const node = back.node(name);
  if (!node) return undefined;
  const made = (scores: string | undefined, of: Squash, more: Partial<Tail> = {}): Tail | undefined =>
    scores === undefined ? undefined : { ...plain, scores, of, node, ...more };
  switch (node.opType) {
    case 'Softmax':
    case 'LogSoftmax':
      return worksOnClasses(back, node.inputs[0], [intAttribute(node, 'axis', -1)])
        ? made(node.inputs[0], 'softmax', { isLog: node.opType === 'LogSoftmax' })
        : undefined;
    case 'Sigmoid':
      return made(node.inputs[0], 'sigmoid');
    case 'HardSigmoid': {
      const [scale, shift] = [floatAttribute(node, 'alpha', 0.2), floatAttribute(node, 'beta', 0.5)];
      return scale > 0 ? made(node.inputs[0], 'identity', { scale, shift, least: 0, most: 1 }) : undefined;
    }
    case 'Tanh':
      return made(doubled(back, node.inputs[0]), 'sigmoid', { scale: 2, shift: -1 }); // tanh(z/2) = 2σ(z) − 1
    case 'Div':
      return (
        made(softmaxQuotient(back, node.inputs[0], node.inputs[1]), 'softmax') ??
        made(sigmoidQuotient(back, node), 'sigmoid')
      );
    case 'Mul':
      return made(softmaxProduct(back, node), 'softmax');
    case 'Reciprocal':
      return made(onePlusExp(back, node.inputs[0], true), 'sigmoid');
    case 'Pow':
      return back.number(node.inputs[1]) === -1
        ? made(onePlusExp(back, node.inputs[0], true), 'sigmoid')
        : undefined;
    case 'Sub':
      return made(logSoftmax(back, node), 'softmax', { isLog: true });
    case 'Neg': {
      const softplus = back.node(node.inputs[0], 'Softplus');
      return softplus && made(negated(back, softplus.inputs[0]), 'sigmoid', { isLog: true });
    }
    default:
      return undefined;
  }
}

/** Whether axes are those of the classes: not that of the batch. */
function worksOnClasses(back: Backward, value: string, axes: readonly number[]): boolean {
  const rank = back.dims(value)?.length;
  if (rank === undefined || rank <= 1) return true;
  return axes.every((axis) => (axis < 0 ? axis + rank : axis) > 0);
}

/** exp(x) / Σ exp(x): x, without a maximum that is subtracted first. */
function softmaxQuotient(back: Backward, numerator: string, denominator: string): string | undefined {
  const power = powerOf(back, numerator);
  const sum = power === undefined ? undefined : sumOf(back, denominator);
  if (power === undefined || sum === undefined || !back.same(numerator, sum)) return undefined;
  return withoutShift(back, power);
}

/** exp(x) · 1/Σ exp(x) */
function softmaxProduct(back: Backward, { inputs }: Node): string | undefined {
  for (const [power, inverse] of [inputs, inputs.toReversed()]) {
    const node = back.node(inverse, 'Reciprocal', 'Div');
    const sum =
      node?.opType === 'Div'
        ? back.number(node.inputs[0]) === 1
          ? node.inputs[1]
          : undefined
        : node?.inputs[0];
    const found = sum === undefined ? undefined : softmaxQuotient(back, power, sum);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** x of exp(x). */
function powerOf(back: Backward, name: string): string | undefined {
  const node = back.node(name, 'Exp', 'Pow');
  if (node?.opType === 'Exp') return node.inputs[0];
  const base = node && back.number(node.inputs[0]);
  return node && base !== undefined && Math.abs(base - Math.E) < 1e-5 ? node.inputs[1] : undefined;
}

/** The value whose sum over the classes this is; a number against division by 0 may be added. */
function sumOf(back: Backward, name: string): string | undefined {
  const node = back.node(name);
  if (!node) return undefined;
  if (is(node, 'onlyDims') || node.opType === 'Expand') return sumOf(back, node.inputs[0]);
  if (node.opType === 'Add' || node.opType === 'Clip' || node.opType === 'Max') {
    const least = node.opType === 'Clip' ? back.number(node.inputs[1]) : back.withNumber(node)?.number;
    const value = node.opType === 'Clip' ? node.inputs[0] : back.withNumber(node)?.value;
    return value !== undefined && least !== undefined && least <= 1e-5 ? sumOf(back, value) : undefined;
  }
  if (node.opType !== 'ReduceSum') return undefined;
  const axes = reducedAxes(node, back.graph);
  return axes && worksOnClasses(back, node.inputs[0], axes) ? node.inputs[0] : undefined;
}

/** x of x − m, where m is the same for all classes: softmax does not see it. */
function withoutShift(back: Backward, name: string): string {
  const node = back.node(name, 'Sub');
  if (!node) return name;
  const shift = onlyLaidOut(back, node.inputs[1]);
  const isMost = back.node(shift, 'ReduceMax') !== undefined;
  return isMost || back.number(shift) !== undefined ? node.inputs[0] : name;
}

function onlyLaidOut(back: Backward, name: string): string {
  const node = back.node(name);
  return node && (is(node, 'onlyDims') || node.opType === 'Expand')
    ? onlyLaidOut(back, node.inputs[0])
    : name;
}

/** x − log Σ exp(x), also with the maximum taken out and added again. */
function logSoftmax(back: Backward, node: Node): string | undefined {
  const [value, logs] = [node.inputs[0], onlyLaidOut(back, node.inputs[1])];
  const whole = back.node(logs, 'ReduceLogSumExp', 'ReduceLogSum', 'Log', 'Add');
  if (!whole) return undefined;
  if (whole.opType === 'ReduceLogSumExp') {
    const axes = reducedAxes(whole, back.graph);
    const isSame = axes && worksOnClasses(back, whole.inputs[0], axes) && back.same(value, whole.inputs[0]);
    return isSame ? withoutShift(back, value) : undefined;
  }
  if (whole.opType === 'Add') {
    const [first, second] = whole.inputs;
    for (const [most, log] of [
      [first, second],
      [second, first],
    ]) {
      const sum = summedPower(back, log);
      const shifted = sum === undefined ? undefined : back.node(sum, 'Sub');
      if (
        shifted &&
        back.same(shifted.inputs[0], value) &&
        back.same(onlyLaidOut(back, shifted.inputs[1]), onlyLaidOut(back, most))
      )
        return value;
    }
    return undefined;
  }
  const sum = summedPower(back, logs);
  return sum !== undefined && back.same(sum, value) ? withoutShift(back, value) : undefined;
}

/** x of log Σ exp(x). */
function summedPower(back: Backward, name: string): string | undefined {
  const node = back.node(onlyLaidOut(back, name), 'Log', 'ReduceLogSum');
  if (!node) return undefined;
  const axes = node.opType === 'ReduceLogSum' ? reducedAxes(node, back.graph) : undefined;
  const isOverClasses = axes && worksOnClasses(back, node.inputs[0], axes);
  const powers =
    node.opType === 'Log' ? sumOf(back, node.inputs[0]) : isOverClasses ? node.inputs[0] : undefined;
  return powers === undefined ? undefined : powerOf(back, powers);
}

/** 1 / (1 + exp(−z)) and exp(z) / (1 + exp(z)) */
function sigmoidQuotient(back: Backward, { inputs: [numerator, denominator] }: Node): string | undefined {
  if (back.number(numerator) === 1) return onePlusExp(back, denominator, true);
  const power = powerOf(back, numerator);
  const other = power === undefined ? undefined : onePlusExp(back, denominator, false);
  return power !== undefined && other !== undefined && back.same(power, other) ? power : undefined;
}

/** z of 1 + exp(−z), or of 1 + exp(z). */
function onePlusExp(back: Backward, name: string, isNegated: boolean): string | undefined {
  const node = back.node(name, 'Add');
  const operands = node && back.withNumber(node);
  const power = operands?.number === 1 ? powerOf(back, operands.value) : undefined;
  if (power === undefined) return undefined;
  return isNegated ? negated(back, power) : power;
}

/** z of −z. */
function negated(back: Backward, name: string): string | undefined {
  const node = back.node(name, 'Neg', 'Mul', 'Div', 'Sub');
  if (!node) return undefined;
  if (node.opType === 'Neg') return node.inputs[0];
  const operands = back.withNumber(node);
  if (node.opType === 'Sub')
    return operands && !operands.isFirst && operands.number === 0 ? operands.value : undefined;
  return operands?.number === -1 && (operands.isFirst || node.opType === 'Mul') ? operands.value : undefined;
}

/** z of z/2. */
function doubled(back: Backward, name: string): string | undefined {
  const node = back.node(name, 'Mul', 'Div');
  const operands = node && back.withNumber(node);
  if (!operands) return undefined;
  return (node.opType === 'Mul' && operands.number === 0.5) ||
    (operands.isFirst && node.opType === 'Div' && operands.number === 2)
    ? operands.value
    : undefined;
}
