import type { Dim } from '../graph/graph.js';
import type { Name } from '../graph/builder.js';
import type { Pass, Rule } from './rule.js';

/** Wraps a rule for an operator that broadcasts: each dX is summed back to the dims of its input. */
export function broadcasting(rule: Rule): Rule {
  return (pass) => rule(pass).map((dX, i) => dX && (pass.needs(i) ? unbroadcast(pass, dX, pass.x[i]) : dX));
}

/** Sums dX, which has the dims `from` (default: the node's output's), over the axes along which `input` was repeated. */
export function unbroadcast(
  pass: Pass,
  dX: Name,
  input: Name,
  from: readonly Dim[] = pass.dims(pass.y[0]),
): Name {
  const { b } = pass;
  const to = pass.dims(input);
  const lead = from.length - to.length;
  const certain = to.every(
    (dim, i) => dim === 1 || typeof dim === 'number' || (dim !== '' && dim === from[lead + i]),
  );
  if (!certain) return unbroadcastAtRunTime(pass, dX, input, from.length);
  const leading = Array.from({ length: lead }, (_, i) => i);
  const repeated = to.flatMap((dim, i) => (dim === 1 && from[lead + i] !== 1 ? [lead + i] : []));
  let result = dX;
  if (leading.length + repeated.length > 0) result = b.reduceSum(result, [...leading, ...repeated]);
  return lead > 0 ? b.op('Squeeze', [result, b.ints(leading)]) : result;
}

/** The same where dims are known only when the model runs: pad the shape with ones, find them, sum, reshape. */
function unbroadcastAtRunTime(pass: Pass, dX: Name, input: Name, rank: number): Name {
  const { b } = pass;
  const shape = b.op('Shape', [input]);
  const lead = rank - pass.rank(input);
  const padded = lead > 0 ? b.op('Concat', [b.ints(Array(lead).fill(1)), shape], { axis: 0 }) : shape;
  const axes = b.reshape(b.op('NonZero', [b.op('Equal', [padded, b.int(1)])]), [-1]);
  const sum = b.op('ReduceSum', [dX, axes], { keepdims: 1, noop_with_empty_axes: 1 });
  return b.op('Reshape', [sum, shape]);
}
