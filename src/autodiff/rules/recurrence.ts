import type { Graph, ValueInfo } from '../../graph/graph.js';
import type { Builder, Name } from '../../graph/builder.js';
import { extents, shapeFrom } from '../extent.js';
import type { Pass } from '../rule.js';
import type { Activation } from './gate.js';

/** One direction of a recurrent node. Sequences are [steps, batch, ...], in the order of processing. */
export interface Way {
  readonly pass: Pass;
  readonly b: Builder;
  /** undefined where it is only known when the model runs. */
  readonly steps: number | undefined;
  readonly hidden: number;
  readonly X: Name;
  /** [gates · hidden, inputs], [gates · hidden, hidden], each half of the bias [gates · hidden]. */
  readonly W: Name;
  readonly R: Name;
  readonly biases: readonly Name[] | undefined;
  /** [batch, hidden] each. */
  readonly initial: Name | undefined;
  readonly initialCell: Name | undefined;
  /** Weights [hidden] from the cell to the gates i, o, f. */
  readonly peepholes: readonly Name[] | undefined;
  /** The states before each step, [steps, batch, hidden]. */
  readonly before: Name;
  /** Incoming gradients: of all states [steps, batch, hidden], of the last state and cell [batch, hidden]. */
  readonly dY: Name | undefined;
  readonly dLast: Name | undefined;
  readonly dCell: Name | undefined;
  /** 1 where a sequence has not ended, [steps, batch, 1]; undefined where all are whole. */
  readonly mask: Name | undefined;
  readonly activations: readonly Activation[];
}

/** Up to this many steps are written out, which can be differentiated again; more, or an unknown number, are a Scan. */
const mostSteps = 256;

/** What a step makes of the states and of its items of the sequences, [1, batch, columns, hidden] each. */
type Step = (states: readonly Name[], items: readonly Name[]) => { states: Name[]; results: Name[] };

interface Recurrence {
  readonly isBackward: boolean;
  /** [1, batch, 1, hidden] each. */
  readonly states: readonly Name[];
  /** [steps, batch, columns · hidden] each. */
  readonly sequences: readonly { readonly values: Name; readonly columns: number }[];
  readonly step: Step;
}

/** Runs a step over sequences; its results come back as sequences [steps, batch, hidden], beside the last states. */
export function recur(way: Way, recurrence: Recurrence): { states: Name[]; results: Name[] } {
  const { b, hidden, steps } = way;
  const sequences = recurrence.sequences.map(({ values, columns }) =>
    b.reshape(values, [0, -1, columns, hidden]),
  );
  const isWritten = steps !== undefined && steps <= mostSteps;
  const { states, results } = isWritten
    ? writtenOut(b, steps, sequences, recurrence)
    : scanned(b, sequences, recurrence);
  return { states, results: results.map((value) => b.reshape(value, [0, -1, hidden])) };
}

function writtenOut(
  b: Builder,
  steps: number,
  sequences: readonly Name[],
  { isBackward, states: first, step }: Recurrence,
): { states: Name[]; results: Name[] } {
  const each = sequences.map((values) =>
    steps > 1 ? b.ops('Split', [values, b.ints(Array(steps).fill(1))], steps, { axis: 0 }) : [values],
  );
  let states = [...first];
  const results: Name[][] = [];
  for (let i = 0; i < steps; i++) {
    const t = isBackward ? steps - 1 - i : i;
    const made = step(
      states,
      each.map((list) => list[t]),
    );
    states = made.states;
    made.results.forEach((value, k) => {
      results[k] ??= [];
      results[k][t] = value;
    });
  }
  return {
    states,
    results: results.map((list) => (list.length > 1 ? b.op('Concat', list, { axis: 0 }) : list[0])),
  };
}

/** The same as a Scan, whose body takes what does not change from around it. */
function scanned(
  b: Builder,
  sequences: readonly Name[],
  { isBackward, states: first, step }: Recurrence,
): { states: Name[]; results: Name[] } {
  const states = first.map(() => b.fresh('state'));
  const items = sequences.map(() => b.fresh('item'));
  const start = b.nodes.length;
  const made = step(
    states,
    items.map((item) => b.op('Unsqueeze', [item, b.ints([0])])),
  );
  const outputs = [...made.states, ...made.results].map((value) => b.op('Identity', [value]));
  const nodes = b.nodes.splice(start);
  const info = (name: Name): ValueInfo => ({ name, type: b.type, dims: undefined });
  const body: Graph = {
    name: 'step',
    opset: 0,
    domains: new Map(),
    inputs: [...states, ...items].map(info),
    outputs: outputs.map(info),
    nodes,
    constants: new Map(),
    values: new Map(),
    metadata: new Map(),
  };
  const direction = isBackward ? 1 : 0;
  const results = b.ops('Scan', [...first, ...sequences], outputs.length, {
    body: { kind: 'graph', value: body },
    num_scan_inputs: sequences.length,
    scan_input_directions: sequences.map(() => direction),
    scan_output_directions: made.results.map(() => direction),
  });
  return { states: results.slice(0, states.length), results: results.slice(states.length) };
}

/** X Wᵀ, or states Rᵀ, with its half of the bias. */
export function affine({ b, biases }: Way, value: Name, weight: Name, half: 0 | 1): Name {
  const product = b.op('MatMul', [value, b.transpose(weight, [1, 0])]);
  return biases ? b.add(product, biases[half]) : product;
}

/** Gates side by side, apart. */
export function gatesOf({ b, hidden }: Way, value: Name, count: number): Name[] {
  return b.ops('Split', [value, b.ints(Array(count).fill(hidden))], count, { axis: 2 });
}

/** Values [steps, batch, hidden] side by side. */
export function beside(b: Builder, values: readonly Name[]): Name {
  return values.length > 1 ? b.op('Concat', [...values], { axis: 2 }) : values[0];
}

/** eₜ · weight, with the gates' columns as one row. */
export function back({ b }: Way, e: Name, weight: Name, width: number): Name {
  return b.op('MatMul', [b.reshape(e, [1, -1, 1, width]), weight]);
}

export function asState({ b, hidden }: Way, value: Name): Name {
  return b.reshape(value, [-1, hidden]);
}

/** A state [batch, hidden] as steps have it, zeros where there is none. */
export function stateOr(way: Way, value: Name | undefined): Name {
  const { b, pass, hidden } = way;
  if (value) return b.reshape(value, [1, -1, 1, hidden]);
  return b.op('Expand', [b.zero(), shapeFrom(pass, [1, ...extents(pass, pass.x[0], 1, 2), 1, hidden])]);
}

/** Coefficients are 0 behind a sequence's end. */
export function whileRunning({ b, mask }: Way, value: Name): Name {
  return mask ? b.mul(value, mask) : value;
}

/** What a state passes on to the step before, all of it behind the sequence's end; undefined where that is nothing. */
export function keptAfterEnd({ b, mask, before }: Way, value: Name | undefined): Name | undefined {
  if (!mask) return value;
  const ended = b.from(1, mask);
  return value ? b.add(b.mul(value, mask), ended) : b.op('Expand', [ended, b.op('Shape', [before])]);
}
