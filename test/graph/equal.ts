import { expect } from 'vitest';
import type { Graph } from '../../src/graph/graph.js';
import { modelOf, encode } from '../../src/graph/to-model.js';
import { readModel } from '../../src/onnx/read.js';
import { DataType } from '../../src/onnx/types.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { openSession } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';
import { buildCase, type Case } from '../autodiff/case.js';
import { errorOf } from '../autodiff/check.js';

/** One node (or a few) of an operator that the table of rules may not know. */
export type Spec = Omit<Case, 'op'> & { readonly op: string };

/** What ONNX Runtime makes of a graph as it is. */
export async function outputsOf(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const session = await openSession(graph, { threads: 1 }, { level: 'disabled' });
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

export function built(spec: Spec, opset: number, float = DataType.FLOAT) {
  const inputs = spec.inputs.map((input, i) => (input ? `x${i}` : ''));
  const outputs = Array.from({ length: spec.outputs ?? 1 }, (_, i) => `y${i}`);
  const { op, domain, attributes } = spec;
  const nodes = spec.nodes ?? [{ op, domain, inputs, outputs, attributes }];
  return buildCase({ ...spec, op: 'Identity', name: `${op} ${spec.name}`, nodes }, opset, float);
}

export async function prepared(graph: Graph): Promise<Graph> {
  return prepareGraph(await readModel(encode(modelOf(graph, () => true))));
}

/** The node as ONNX Runtime reads it, and what it is prepared to, give the same outputs; returns the latter. */
export async function expectSame(
  spec: Spec,
  opset: number,
  bound: number,
  float = DataType.FLOAT,
): Promise<Graph> {
  const { graph, feeds } = built(spec, opset, float);
  const expected = await outputsOf(graph, feeds);
  const ready = await prepared(graph);
  const actual = await outputsOf(ready, feeds);
  for (const [name, { data, dims }] of Object.entries(expected)) {
    expect(actual[name].dims, name).toEqual(dims);
    expect(errorOf(actual[name].data as never, data as never), name).toBeLessThanOrEqual(bound);
  }
  return ready;
}
