import { intAttribute } from './attributes.js';
import type { Backward } from './backward.js';
import { is } from './facts.js';

/** Whether a value is divided by its own length, as embeddings are: LpNormalization, or x / ‖x‖ however it is spelled out. */
export function hasUnitLength(back: Backward, name: string): boolean {
  let node = back.node(name);
  while (node && is(node, 'passThrough')) node = back.node(node.inputs[0]);
  if (!node) return false;
  if (node.opType === 'LpNormalization') return intAttribute(node, 'p', 2) === 2;
  const [x, by] = node.inputs;
  if (node.opType === 'Div') return isLength(back, by, x);
  if (node.opType !== 'Mul') return false;
  return [
    [x, by],
    [by, x],
  ].some(([value, factor]) => {
    const inverse = back.node(factor, 'Reciprocal');
    return inverse !== undefined && isLength(back, inverse.inputs[0], value);
  });
}

/** Whether a value is the length of another, or a little more so that it is never zero. */
function isLength(back: Backward, name: string, of: string, steps = 8): boolean {
  const node = back.node(name);
  if (!node || steps === 0) return false;
  const before = (input: string) => isLength(back, input, of, steps - 1);
  switch (node.opType) {
    case 'ReduceL2':
      return back.same(node.inputs[0], of);
    case 'Clip':
    case 'Expand':
    case 'Identity':
    case 'Unsqueeze':
    case 'Reshape':
      return before(node.inputs[0]);
    case 'Max':
    case 'Add': {
      const own = back.withNumber(node);
      return own !== undefined && Math.abs(own.number) < 1e-3 && before(own.value);
    }
    case 'Sqrt':
      return isSquareSum(back, node.inputs[0], of);
    case 'Pow':
      return back.number(node.inputs[1]) === 0.5 && isSquareSum(back, node.inputs[0], of);
    default:
      return false;
  }
}

/** Σ x², with what keeps it from being zero. */
function isSquareSum(back: Backward, name: string, of: string): boolean {
  const node = back.node(name);
  const own = node && ['Add', 'Max'].includes(node.opType) ? back.withNumber(node) : undefined;
  if (own && Math.abs(own.number) < 1e-3) return isSquareSum(back, own.value, of);
  if (node?.opType === 'ReduceSumSquare') return back.same(node.inputs[0], of);
  if (node?.opType === 'Clip') return isSquareSum(back, node.inputs[0], of);
  if (node?.opType !== 'ReduceSum') return false;
  const square = back.node(node.inputs[0]);
  if (square?.opType === 'Pow') return back.number(square.inputs[1]) === 2 && back.same(square.inputs[0], of);
  return square?.opType === 'Mul' && square.inputs.every((input) => back.same(input, of));
}
