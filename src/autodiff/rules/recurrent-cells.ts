import type { Name } from '../../graph/builder.js';
import {
  affine,
  asState,
  back,
  beside,
  gatesOf,
  keptAfterEnd,
  recur,
  stateOr,
  type Way,
  whileRunning,
} from './recurrence.js';

/** Gradients of one direction, in the dims of `Way`. */
export interface Gradients {
  /** Gradients of what W and R give to the gates, [steps, batch, gates · hidden]. */
  readonly ofW: Name;
  readonly ofR: Name;
  /** dR where it is not ofRᵀ · before. */
  readonly dR?: Name;
  readonly dInitial: Name;
  readonly dInitialCell?: Name;
  readonly dPeepholes?: Name;
}

/** A sequence of coefficients: so many columns of `hidden`. */
const sequence = (way: Way, values: readonly Name[]) => ({
  values: beside(way.b, values),
  columns: values.length,
});

/** From the last step to the first: d = dY + carry; carry = step(d) + keep · d. */
function backward(
  way: Way,
  coefficients: readonly Name[],
  keep: Name | undefined,
  step: (items: Name, d: Name) => { carry: Name; results: readonly Name[] },
): { d: Name; carry: Name; results: Name[] } {
  const { b } = way;
  const kept = keptAfterEnd(way, keep);
  const optional = [way.dY, kept].map((value) => (value ? [sequence(way, [value])] : []));
  const { states, results } = recur(way, {
    isBackward: true,
    states: [stateOr(way, way.dLast)],
    sequences: [sequence(way, coefficients), ...optional.flat()],
    step: ([carry], [items, ...rest]) => {
      const d = way.dY ? b.add(rest[0], carry) : carry;
      const made = step(items, d);
      const next = kept ? b.add(made.carry, b.mul(rest[rest.length - 1], d)) : made.carry;
      return { states: [next], results: [d, ...made.results] };
    },
  });
  return { d: results[0], carry: states[0], results: results.slice(1) };
}

/** H = f(X Wᵀ + H₋₁ Rᵀ + b). */
export function simple(way: Way): Gradients {
  const { b, hidden } = way;
  const [f] = way.activations;
  const a = b.add(affine(way, way.X, way.W, 0), affine(way, way.before, way.R, 1));
  const slope = whileRunning(way, f.slope(f.value(a), a));
  const { d, carry } = backward(way, [slope], undefined, (item, d) => ({
    carry: back(way, b.mul(item, d), way.R, hidden),
    results: [],
  }));
  const of = b.mul(slope, d);
  return { ofW: of, ofR: of, dInitial: asState(way, carry) };
}

/** z, r, h: H = (1 − z) h + z H₋₁; the reset gate works before or after the product with R. */
export function gatedUnit(way: Way): Gradients {
  const { b, pass, hidden, before } = way;
  const [f, g] = way.activations;
  const [xz, xr, xh] = gatesOf(way, affine(way, way.X, way.W, 0), 3);
  const [hz, hr, hh] = gatesOf(way, affine(way, before, way.R, 1), 3);
  const [az, ar] = [b.add(xz, hz), b.add(xr, hr)];
  const [z, r] = [f.value(az), f.value(ar)];
  const slopeR = f.slope(r, ar);
  const toGates = (h: Name, ah: Name) => ({
    toZ: whileRunning(way, b.mul(b.sub(before, h), f.slope(z, az))),
    toH: whileRunning(way, b.mul(b.from(1, z), g.slope(h, ah))),
  });
  if (pass.int('linear_before_reset', 0) !== 0) {
    const ah = b.add(xh, b.mul(r, hh));
    const { toZ, toH } = toGates(g.value(ah), ah);
    const toR = b.mul(b.mul(toH, hh), slopeR);
    const columns = [toZ, toR, b.mul(toH, r)];
    const { d, carry } = backward(way, columns, z, (items, d) => ({
      carry: back(way, b.mul(items, d), way.R, 3 * hidden),
      results: [],
    }));
    const all = (values: readonly Name[]) =>
      beside(
        b,
        values.map((value) => b.mul(value, d)),
      );
    return { ofW: all([toZ, toR, toH]), ofR: all(columns), dInitial: asState(way, carry) };
  }
  const rows = b.ops('Split', [way.R, b.ints([2 * hidden, hidden])], 2, { axis: 0 });
  const reset = b.mul(r, before);
  const product = b.op('MatMul', [reset, b.transpose(rows[1], [1, 0])]);
  const own = way.biases && b.ops('Split', [way.biases[1], b.ints([2 * hidden, hidden])], 2, { axis: 0 })[1];
  const ah = b.add(xh, own ? b.add(product, own) : product);
  const { toZ, toH } = toGates(g.value(ah), ah);
  const toR = b.mul(before, slopeR);
  const { d, carry, results } = backward(way, [toZ, toH, toR, r], z, (items, d) => {
    const [cz, ch, cr, rt] = b.ops('Split', [items, b.ints([1, 1, 1, 1])], 4, { axis: 2 });
    const dReset = b.op('MatMul', [b.mul(ch, d), rows[1]]);
    const e = b.op('Concat', [b.mul(cz, d), b.mul(cr, dReset)], { axis: 3 });
    return { carry: b.add(b.op('MatMul', [e, rows[0]]), b.mul(rt, dReset)), results: [dReset] };
  });
  const ofH = b.mul(toH, d);
  const ofZR = beside(b, [b.mul(toZ, d), b.mul(toR, results[0])]);
  const of = beside(b, [ofZR, ofH]);
  const flat = (value: Name, width: number) => b.reshape(value, [-1, width]);
  const transposed = (one: Name, width: number, other: Name) =>
    b.op('Gemm', [flat(one, width), flat(other, hidden)], { transA: 1 });
  const dR = [transposed(ofZR, 2 * hidden, before), transposed(ofH, hidden, reset)];
  return { ofW: of, ofR: of, dR: b.op('Concat', dR, { axis: 0 }), dInitial: asState(way, carry) };
}

/** i, o, f, c: C = f C₋₁ + i c, H = o h(C); peepholes let the gates see the cell. */
export function longShortTermMemory(way: Way): Gradients {
  const { b, pass, hidden, peepholes } = way;
  const [f, g, h] = way.activations;
  const isCoupled = pass.int('input_forget', 0) !== 0;
  const a = b.add(affine(way, way.X, way.W, 0), affine(way, way.before, way.R, 1));
  const [ai, ao, af, ac] = gatesOf(way, a, 4);
  const c = g.value(ac);
  const seen = (gate: Name, cell: Name, which: number) =>
    peepholes ? b.add(gate, b.mul(cell, peepholes[which])) : gate;
  const { cells, cellsBefore } = cellStates(way, ai, af, c, isCoupled, seen);
  const [li, lo, lf] = [seen(ai, cellsBefore, 0), seen(ao, cells, 1), seen(af, cellsBefore, 2)];
  const [i, o] = [f.value(li), f.value(lo)];
  const forget = isCoupled ? b.from(1, i) : f.value(lf);
  const squashed = h.value(cells);
  const running = (value: Name) => whileRunning(way, value);
  const toO = running(b.mul(squashed, f.slope(o, lo)));
  const toI = running(b.mul(isCoupled ? b.sub(c, cellsBefore) : c, f.slope(i, li)));
  const toF = isCoupled ? b.mul(toI, b.zero()) : running(b.mul(cellsBefore, f.slope(forget, lf)));
  const toC = running(b.mul(i, g.slope(c, ac)));
  let toCell = running(b.mul(o, h.slope(squashed, cells)));
  let passed = forget;
  if (peepholes) {
    toCell = b.add(toCell, b.mul(toO, peepholes[1]));
    passed = b.add(passed, b.mul(toI, peepholes[0]));
    if (!isCoupled) passed = b.add(passed, b.mul(toF, peepholes[2]));
  }
  const kept = keptAfterEnd(way, undefined);
  const optional = [way.dY, kept].map((value) => (value ? [sequence(way, [value])] : []));
  const { states, results } = recur(way, {
    isBackward: true,
    states: [stateOr(way, way.dLast), stateOr(way, way.dCell)],
    sequences: [
      sequence(way, [toI, toO, toF, toC]),
      sequence(way, [toCell]),
      sequence(way, [keptAfterEnd(way, passed) as Name]),
      ...optional.flat(),
    ],
    step: ([carry, cellCarry], [toGates, toOwn, pass, ...rest]) => {
      const d = way.dY ? b.add(rest[0], carry) : carry;
      const dCell = b.add(b.mul(toOwn, d), cellCarry);
      const arrived = b.op('Concat', [dCell, d, dCell, dCell], { axis: 2 });
      const e = back(way, b.mul(toGates, arrived), way.R, 4 * hidden);
      const next = kept ? b.add(e, b.mul(rest[rest.length - 1], d)) : e;
      return { states: [next, b.mul(pass, dCell)], results: [d, dCell] };
    },
  });
  const [d, dCell] = results;
  const ofGates = [b.mul(toI, dCell), b.mul(toO, d), b.mul(toF, dCell), b.mul(toC, dCell)];
  const of = beside(b, ofGates);
  const looks = [cellsBefore, cells, cellsBefore];
  const dPeepholes = looks.map((cell, which) => b.reduceSum(b.mul(ofGates[which], cell), [0, 1], 0));
  return {
    ofW: of,
    ofR: of,
    dInitial: asState(way, states[0]),
    dInitialCell: asState(way, states[1]),
    dPeepholes: b.op('Concat', dPeepholes, { axis: 0 }),
  };
}

/** The node does not give the cells of all steps: C = f C₋₁ + i c again. */
function cellStates(
  way: Way,
  ai: Name,
  af: Name,
  c: Name,
  isCoupled: boolean,
  seen: (gate: Name, cell: Name, which: number) => Name,
): { cells: Name; cellsBefore: Name } {
  const { b, peepholes } = way;
  const [f] = way.activations;
  const first = stateOr(way, way.initialCell);
  // With peepholes the gates depend on the cell; without, all steps' products are known before.
  const sequences = peepholes
    ? [ai, af, c]
    : [isCoupled ? b.from(1, f.value(ai)) : f.value(af), b.mul(f.value(ai), c)];
  const { results } = recur(way, {
    isBackward: false,
    states: [first],
    sequences: sequences.map((values) => sequence(way, [values])),
    step: ([cell], items) => {
      let [forget, added] = items;
      if (peepholes) {
        const i = f.value(seen(items[0], cell, 0));
        forget = isCoupled ? b.from(1, i) : f.value(seen(items[1], cell, 2));
        added = b.mul(i, items[2]);
      }
      const next = b.add(b.mul(forget, cell), added);
      return { states: [next], results: [next] };
    },
  });
  const [cells] = results;
  return { cells, cellsBefore: shifted(way, cells, way.initialCell) };
}

/** What was there before each step: the initial state (zeros), then all but the last. */
export function shifted({ b }: Pick<Way, 'b'>, states: Name, initial: Name | undefined): Name {
  const moved = b.op('Pad', [states, b.ints([1, 0, 0, -1, 0, 0])]);
  if (!initial) return moved;
  const first = b.op('Unsqueeze', [initial, b.ints([0])]);
  const rest = b.op('Slice', [states, b.ints([0]), b.ints([-1]), b.ints([0])]);
  return b.op('Concat', [first, rest], { axis: 0 });
}
