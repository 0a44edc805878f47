import { type Backward, boundsOf } from './backward.js';
import { is } from './facts.js';
import { type Node } from './graph.js';

/** Least and largest value that something can have. */
export type Range = readonly [least: number, most: number];

const everything: Range = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
const unit: Range = [0, 1];

/** Values further back than this are taken for anything. */
const mostSteps = 24;

/** The range of a value, as far as the operators behind it bound it. */
export function rangeOf(
  back: Backward,
  name: string,
  steps = mostSteps,
  known = new Map<string, Range>(),
): Range {
  const found = known.get(name);
  if (found) return found;
  const constant = back.graph.constants.get(name);
  const node = back.node(name);
  let range = everything;
  if (constant) range = boundsOf(constant) ?? everything;
  else if (node && steps > 0) {
    const inputs = node.inputs.map((input) => (input ? rangeOf(back, input, steps - 1, known) : everything));
    range = rangeAfter(back, node, inputs);
  }
  known.set(name, range);
  return range;
}

function rangeAfter(back: Backward, node: Node, inputs: readonly Range[]): Range {
  const [a = everything, b = everything] = inputs;
  const monotone = (f: (x: number) => number): Range => [f(a[0]), f(a[1])];
  switch (node.opType) {
    case 'Sigmoid':
    case 'HardSigmoid':
    case 'Softmax':
    case 'Hardmax':
      return unit;
    case 'Tanh':
    case 'Erf':
    case 'Softsign':
    case 'Sin':
    case 'Cos':
      return [-1, 1];
    case 'LogSoftmax':
      return [Number.NEGATIVE_INFINITY, 0];
    case 'Exp':
      return monotone(Math.exp);
    case 'Log':
      return a[0] >= 0 ? monotone(Math.log) : everything;
    case 'Sqrt':
      return a[0] >= 0 ? monotone(Math.sqrt) : [0, Number.POSITIVE_INFINITY];
    case 'Relu':
      return monotone((x) => Math.max(x, 0));
    case 'Clip':
      return [
        Math.min(Math.max(a[0], inputs[1]?.[0] ?? a[0]), inputs[2]?.[1] ?? a[1]),
        Math.min(a[1], inputs[2]?.[1] ?? a[1]),
      ];
    case 'Neg':
      return [-a[1], -a[0]];
    case 'Add':
    case 'Sum':
      return inputs.reduce((sum, range) => [sum[0] + range[0], sum[1] + range[1]]);
    case 'Sub':
      return [a[0] - b[1], a[1] - b[0]];
    case 'Mean':
      return [sumOf(inputs, 0) / inputs.length, sumOf(inputs, 1) / inputs.length];
    case 'Mul':
      return product(a, b);
    case 'Div':
      return isShare(back, node, a) ? unit : b[0] > 0 ? product(a, [1 / b[1], 1 / b[0]]) : everything;
    case 'Max':
      return [Math.max(...inputs.map(([least]) => least)), Math.max(...inputs.map(([, most]) => most))];
    case 'Min':
      return [Math.min(...inputs.map(([least]) => least)), Math.min(...inputs.map(([, most]) => most))];
    case 'Where':
      return union(inputs.slice(1));
    case 'Concat':
      return union(inputs);
    default:
      return is(node, 'keepsRange') ? a : everything;
  }
}

/** a / Σ a, for a that is not negative. */
function isShare(back: Backward, { inputs: [value, sum] }: Node, [least]: Range): boolean {
  let total = back.node(sum);
  while (total && (is(total, 'onlyDims') || total.opType === 'Expand')) total = back.node(total.inputs[0]);
  return least >= 0 && total?.opType === 'ReduceSum' && back.same(total.inputs[0], value);
}

function product(a: Range, b: Range): Range {
  const all = a.flatMap((x) => b.map((y) => (x === 0 || y === 0 ? 0 : x * y)));
  return [Math.min(...all), Math.max(...all)];
}

function union(ranges: readonly Range[]): Range {
  return [Math.min(...ranges.map(([least]) => least)), Math.max(...ranges.map(([, most]) => most))];
}

function sumOf(ranges: readonly Range[], end: 0 | 1): number {
  return ranges.reduce((sum, range) => sum + range[end], 0);
}

/** Whether a range is within that of probabilities, up to rounding. */
export function isProbable([least, most]: Range): boolean {
  return least >= -1e-5 && most <= 1 + 1e-5 && most > least;
}
