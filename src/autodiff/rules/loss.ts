import { DataType } from '../../onnx/types.js';
import { extents, reshapeTo } from '../extent.js';
import type { Name } from '../../graph/builder.js';
import type { Pass, Rule } from '../rule.js';

/** loss = −Σ w·ℓ over labels with ℓ = logs[label], and its divisor where the mean is taken. */
interface Loss {
  /** dY beside every element of the logs, divided by the divisor. */
  readonly dLoss: Name;
  /** True at the label's class unless the label is ignored; like the logs. */
  readonly hot: Name;
  /** Weight a class, [C, 1, ...]. */
  readonly weights: Name | undefined;
}

/** The gradient of the log probabilities is −w·dY at the labels. */
export const negativeLogLikelihood: Rule = (pass) => {
  const loss = readLoss(pass);
  return [logsGradient(pass, loss), undefined, weightsGradient(pass, loss, pass.x[0])];
};

/** The same, through a log-softmax: dX = g − p·Σ g. The second output is the log probabilities. */
export const softmaxCrossEntropy: Rule = (pass) => {
  const { b, dYs, x } = pass;
  const [dLoss, dLogs] = dYs;
  const logs = pass.y[1] ? pass.y[1] : b.op('LogSoftmax', [x[0]], { axis: 1 });
  const loss = dLoss === undefined ? undefined : readLoss(pass);
  const parts = [loss && logsGradient(pass, loss), dLogs].filter((part) => part !== undefined);
  const g = parts.length > 1 ? b.op('Sum', parts) : parts[0];
  const dX = b.sub(g, b.mul(b.op('Exp', [logs]), b.reduceSum(g, [1])));
  return [dX, undefined, loss && weightsGradient(pass, loss, logs)];
};

function readLoss(pass: Pass): Loss {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const [, classes] = extents(pass, x[0]);
  const ones = Array<number>(rank - 2).fill(1);
  const count =
    typeof classes === 'number'
      ? b.int(classes)
      : b.op('Squeeze', [b.op('Shape', [x[0]], { start: 1, end: 2 })]);
  const numbers = b.reshape(b.op('Range', [b.int(0), count, b.int(1)]), [-1, ...ones]);
  const labels = b.op('Unsqueeze', [b.op('Cast', [x[1]], { to: DataType.INT64 }), b.ints([1])]);
  const isLabel = b.op('Equal', [labels, numbers]);
  const ignored = pass.node.attributes.has('ignore_index')
    ? b.op('Equal', [labels, b.int(pass.int('ignore_index', -1))])
    : undefined;
  const hot = ignored ? b.op('And', [isLabel, b.op('Not', [ignored])]) : isLabel;
  const weights = pass.has(2) ? reshapeTo(pass, x[2], [-1, ...ones]) : undefined;
  const reduction = pass.string('reduction', 'mean');
  if (reduction === 'none') return { dLoss: b.op('Unsqueeze', [dY, b.ints([1])]), hot, weights };
  if (reduction === 'sum') return { dLoss: dY, hot, weights };
  const divisor = b.op('ReduceSum', [b.where(hot, weights ?? b.scalar(1), b.zero())], { keepdims: 0 });
  return { dLoss: b.div(dY, divisor), hot, weights };
}

function logsGradient({ b }: Pass, { dLoss, hot, weights }: Loss): Name {
  return b.where(hot, b.neg(weights ? b.mul(weights, dLoss) : dLoss), b.zero());
}

/** −Σ dY·ℓ a class; for the mean −(ℓ + loss)·dY/divisor. */
function weightsGradient(pass: Pass, { dLoss, hot }: Loss, logs: Name): Name | undefined {
  const { b, x, y } = pass;
  if (!pass.has(2) || !pass.needs(2)) return undefined;
  const mean = pass.string('reduction', 'mean') === 'mean';
  const each = mean ? b.add(logs, y[0]) : logs;
  const axes = extents(pass, x[0]).flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  return b.neg(b.reduceSum(b.where(hot, b.mul(each, dLoss), b.zero()), axes, 0));
}
