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
    const ofInput = (input: string | undefined) =>
      input ? rangeOf(back, input, steps - 1, known) : everything;
    range = rangeAfter(back, node, ofInput);
  }
  known.set(name, range);
  return range;
}

function rangeAfter(back: Backward, node: Node, ofInput: (input: string | undefined) => Range): Range {
  const all = () => node.inputs.map(ofInput);
  const [first, second, third] = node.inputs;
  const monotone = (f: (x: number) => number): Range => {
    const [least, most] = ofInput(first);
    return [f(least), f(most)];
  };
  switch (node.opType) {
    case 'Sigmoid':
    case 'HardSigmoid':
    case 'Softmax':
    case 'Hardmax':
      return unit;
    case 'Equal':
    case 'Greater':
    case 'GreaterOrEqual':
    case 'Less':
    case 'LessOrEqual':
    case 'And':
    case 'Or':
    case 'Not':
    case 'Xor':
      return unit; // once they are cast to numbers
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
      return ofInput(first)[0] >= 0 ? monotone(Math.log) : everything;
    case 'Sqrt':
      return ofInput(first)[0] >= 0 ? monotone(Math.sqrt) : [0, Number.POSITIVE_INFINITY];
    case 'Relu':
      return monotone((x) => Math.max(x, 0));
    case 'Clip': {
      const [least, most] = [second ? ofInput(second)[0] : undefined, third ? ofInput(third)[1] : undefined];
      return monotone((x) => Math.min(Math.max(x, least ?? x), most ?? Number.POSITIVE_INFINITY));
    }
    case 'Neg':
      return product(ofInput(first), [-1, -1]);
    case 'Add':
    case 'Sum':
      return all().reduce((sum, range) => [sum[0] + range[0], sum[1] + range[1]]);
    case 'Sub': {
      const [a, b] = all();
      return [a[0] - b[1], a[1] - b[0]];
    }
    case 'Mean': {
      const ranges = all();
      return [sumOf(ranges, 0) / ranges.length, sumOf(ranges, 1) / ranges.length];
    }
    case 'Mul':
      return product(ofInput(first), ofInput(second));
    case 'Div': {
      const [a, b] = all();
      if (isShare(back, node, a)) return unit;
      return b[0] > 0 ? product(a, [1 / b[1], 1 / b[0]]) : everything;
    }
    case 'Max':
      return [Math.max(...all().map(([least]) => least)), Math.max(...all().map(([, most]) => most))];
    case 'Min':
      return [Math.min(...all().map(([least]) => least)), Math.min(...all().map(([, most]) => most))];
    case 'Where':
      return union(all().slice(1));
    case 'Concat':
      return union(all());
    default:
      return is(node, 'keepsRange') ? ofInput(first) : everything;
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
