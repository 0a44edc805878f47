import type { Builder, Name } from '../../graph/builder.js';
import { extent, shapeFrom } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { type Gradients, gatedUnit, longShortTermMemory, shifted, simple } from './recurrent-cells.js';
import { activationsOf } from './gate.js';
import type { Way } from './recurrence.js';
import { flip } from './slice.js';

/**
 * Back-propagation through time in three parts: the gates of all steps at once from the inputs and the states that
 * the node gave (one product each), the recursion of the states' gradients step by step, and from what that leaves
 * the gradients of X, W, R and B, again all steps at once. Per step only products with numbers that are known before
 * remain: dₜ = dYₜ + carry, eₜ = coefficientsₜ · dₜ, carry = eₜ R + keepₜ · dₜ.
 */
export const rnn: Rule = recurrent(1, simple);
export const gru: Rule = recurrent(3, gatedUnit);
export const lstm: Rule = recurrent(4, longShortTermMemory);

/** Takes the directions apart, and puts their gradients together. */
function recurrent(gates: number, differentiate: (way: Way) => Gradients): Rule {
  return (pass) => {
    const { b, x } = pass;
    const ways = waysOf(pass, gates);
    const hidden = ways[0].hidden;
    const results = ways.map((way) => ({ way, gradients: differentiate(way) }));
    const stack = (input: number, make: (result: (typeof results)[number]) => Name | undefined) => {
      if (!pass.needs(input)) return undefined;
      const rows = results.flatMap((result) => {
        const value = make(result);
        return value ? [b.op('Unsqueeze', [value, b.ints([0])])] : [];
      });
      return rows.length > 1 ? b.op('Concat', rows, { axis: 0 }) : rows[0];
    };
    const flat = (value: Name, width: number) => b.reshape(value, [-1, width]);
    const product = (gradient: Name, value: Name, width: number) =>
      b.op('Gemm', [flat(gradient, gates * hidden), flat(value, width)], { transA: 1 });
    const sum = (value: Name) => b.reduceSum(value, [0, 1], 0);
    const dX = results.map(({ way, gradients }, d) =>
      turned(pass, d, b.op('MatMul', [gradients.ofW, way.W])),
    );
    return [
      dX.length > 1 ? b.add(dX[0], dX[1]) : dX[0],
      stack(1, ({ way, gradients }) => product(gradients.ofW, way.X, pass.sizes(x[1], 2)[0])),
      stack(2, ({ way, gradients }) => gradients.dR ?? product(gradients.ofR, way.before, hidden)),
      stack(3, ({ gradients }) => b.op('Concat', [sum(gradients.ofW), sum(gradients.ofR)], { axis: 0 })),
      undefined,
      stack(5, ({ gradients }) => gradients.dInitial),
      stack(6, ({ gradients }) => gradients.dInitialCell),
      stack(7, ({ gradients }) => gradients.dPeepholes),
    ];
  };
}

function waysOf(pass: Pass, gates: number): Way[] {
  const { b, x, dYs } = pass;
  if (pass.int('layout', 0) !== 0) throw pass.unsupported('has its batch first, which is not canonical');
  const count = pass.string('direction', 'forward') === 'bidirectional' ? 2 : 1;
  const steps = pass.dims(x[0])[0];
  const hidden = pass.int('hidden_size', 0) || pass.sizes(x[2], 2)[0];
  const each = (value: Name | undefined, axis = 0) => partsOf(b, value, count, axis);
  const [W, R, B, initial, initialCell, P] = [1, 2, 3, 5, 6, 7].map((input) => each(x[input]));
  const [dLast, dCell] = [each(dYs[1]), each(dYs[2])];
  const [states, dStates] = [each(pass.extraOutput(0), 1), each(dYs[0], 1)];
  const mask = x[4] ? stepMask(pass) : undefined;
  const activations = activationsOf(pass, count);
  const apart = (value: Name | undefined, size: number, number: number) =>
    value ? b.ops('Split', [value, b.ints(Array(number).fill(size))], number, { axis: 0 }) : undefined;
  return Array.from({ length: count }, (_, d): Way => {
    const dY = dStates[d] && turned(pass, d, dStates[d]);
    return {
      pass,
      b,
      steps: typeof steps === 'number' ? steps : undefined,
      hidden,
      X: turned(pass, d, x[0]),
      W: W[d] as Name,
      R: R[d] as Name,
      biases: apart(B[d], gates * hidden, 2),
      initial: initial[d],
      initialCell: initialCell[d],
      peepholes: apart(P[d], hidden, 3),
      before: shifted({ b }, turned(pass, d, states[d] as Name), initial[d]),
      dY: dY && mask ? b.mul(dY, mask) : dY,
      dLast: dLast[d],
      dCell: dCell[d],
      mask,
      activations: activations[d],
    };
  });
}

/** The directions of a value, without their axis. */
function partsOf(b: Builder, value: Name | undefined, count: number, axis: number): (Name | undefined)[] {
  if (!value) return Array<undefined>(count).fill(undefined);
  const each = count === 1 ? [value] : b.ops('Split', [value, b.ints([1, 1])], 2, { axis });
  return each.map((part) => b.op('Squeeze', [part, b.ints([axis])]));
}

/** A sequence as a direction goes through it: backwards in its own part, where sequences end early. */
function turned(pass: Pass, direction: number, value: Name): Name {
  const { b, x } = pass;
  if (direction === 0 && pass.string('direction', 'forward') !== 'reverse') return value;
  if (!x[4]) return flip(pass, value, [0]);
  return b.op('ReverseSequence', [value, b.op('Cast', [x[4]], { to: 7 })], { time_axis: 0, batch_axis: 1 });
}

/** 1 at steps before a sequence's end, [steps, batch, 1]. */
function stepMask(pass: Pass): Name {
  const { b, x } = pass;
  const count = b.op('Squeeze', [shapeFrom(pass, [extent(pass, x[0], 0)])]);
  const step = b.op('Range', [b.int(0), count, b.int(1)]);
  const lengths = b.op('Cast', [x[4]], { to: 7 });
  return b.asFloat(b.op('Less', [b.reshape(step, [-1, 1, 1]), b.reshape(lengths, [1, -1, 1])]));
}
