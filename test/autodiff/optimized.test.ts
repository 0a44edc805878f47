import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendGradient } from '../../src/autodiff/walk.js';
import { graphOf } from '../../src/graph/from-model.js';
import { type Graph, type Node, subgraph, type ValueInfo } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import { readModel } from '../../src/onnx/read.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { openSession } from '../../src/runtime/session.js';
import { graphFrom, weights } from '../support/network.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The nodes that ONNX Runtime really runs. */
async function optimized(graph: Graph, name: string): Promise<readonly Node[]> {
  const path = join(folder, `${name}.onnx`);
  const session = await openSession(graph, { threads: 1 }, { optimizedModelFilePath: path });
  await session.close();
  return graphOf(await readModel(path)).nodes;
}

const pads = [1, 1, 1, 1];

/** Convolutions of stride 1 and 2 with ReLUs, a residual sum, pooling, a classifier. */
async function network(batch: number | string): Promise<Graph> {
  const graph = graphFrom({
    inputs: { x: [batch, 16, 16, 16] },
    outputs: ['scores'],
    constants: {
      w1: weights(1, [32, 16, 3, 3]),
      w2: weights(2, [32, 32, 3, 3]),
      w3: weights(3, [32, 32, 3, 3]),
      w4: weights(4, [64, 32, 3, 3]),
      w5: weights(5, [10, 64]),
    },
    nodes: [
      ['Conv', ['x', 'w1'], ['c1'], { pads }],
      ['Relu', ['c1'], ['r1']],
      ['Conv', ['r1', 'w2'], ['c2'], { pads }],
      ['Relu', ['c2'], ['r2']],
      ['Conv', ['r2', 'w3'], ['c3'], { pads }],
      ['Add', ['c3', 'r1'], ['sum']],
      ['Relu', ['sum'], ['r3']],
      ['Conv', ['r3', 'w4'], ['c4'], { pads, strides: [2, 2] }],
      ['Relu', ['c4'], ['r4']],
      ['GlobalAveragePool', ['r4'], ['pooled']],
      ['Flatten', ['pooled'], ['flat']],
      ['Gemm', ['flat', 'w5'], ['scores'], { transB: 1 }],
    ],
  });
  return prepareGraph(await readModel(modelFile(graph).toBytes()));
}

function withGradient(graph: Graph, wrt: string, batch: number | string): Graph {
  const { graph: extended, gradients } = appendGradient(graph, {
    of: [{ output: 'scores', seed: 'seed' }],
    wrt: [wrt],
  });
  const seed: ValueInfo = { name: 'seed', type: 1, dims: [batch, 10] };
  const outputs = ['scores', gradients.get(wrt) as string].map((name) => ({
    name,
    type: undefined,
    dims: undefined,
  }));
  return subgraph(extended, [...graph.inputs, seed], outputs);
}

const isConv = (node: Node) => node.opType.endsWith('Conv');
const activation = (node: Node) => node.attributes.get('activation')?.value;
const runTimeShapes = ['Shape', 'ConstantOfShape', 'NonZero', 'Size', 'Range', 'EyeLike', 'Expand'];

describe('what ONNX Runtime makes of a differentiated network', () => {
  test.each([2, 'N'])('batch %s: fusions and layout of the forward part stay', async (batch) => {
    const plain = await network(batch);
    const forward = await optimized(plain, `forward-${batch}`);
    const both = await optimized(withGradient(plain, 'x', batch), `both-${batch}`);
    const inBoth = new Map(both.map((node) => [node.name, node]));
    const convolutions = forward.filter(isConv);
    expect(convolutions).toHaveLength(4);
    // Where this machine has no blocked layout (com.microsoft.nchwc), the plain forward pass has none either.
    const describeConv = (node: Node | undefined) => node && [node.domain, node.opType, activation(node)];
    for (const node of convolutions)
      expect(describeConv(inBoth.get(node.name)), node.name).toEqual(describeConv(node));
    const own = both.filter((node) => isConv(node) && !convolutions.some(({ name }) => name === node.name));
    // Three gradients of stride 1 run in the forward convolutions' layout; that of stride 2 is transposed.
    expect(own.filter((node) => node.opType === 'Conv').map((node) => node.domain)).toEqual(
      Array(3).fill(convolutions[0].domain),
    );
    expect(both.filter((node) => node.opType === 'ConvTranspose')).toHaveLength(1);
    expect(both.filter((node) => node.opType === 'Relu').length).toBe(
      forward.filter((node) => node.opType === 'Relu').length,
    );
  });

  test('a static network has no shape arithmetic when it runs', async () => {
    const graph = withGradient(await network(2), 'x', 2);
    expect(graph.nodes.map(({ opType }) => opType).filter((op) => runTimeShapes.includes(op))).toEqual([]);
    const both = await optimized(graph, 'static');
    expect(both.map(({ opType }) => opType).filter((op) => runTimeShapes.includes(op))).toEqual([]);
  });

  test('a symbolic batch needs none either where nothing depends on it', async () => {
    const graph = withGradient(await network('N'), 'x', 'N');
    expect(graph.nodes.map(({ opType }) => opType).filter((op) => runTimeShapes.includes(op))).toEqual([]);
  });

  test('nothing is written that nobody reads', async () => {
    const plain = await network(2);
    const { graph, gradients } = appendGradient(plain, {
      of: [{ output: 'scores', seed: 'seed' }],
      wrt: ['r1'],
    });
    const read = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...gradients.values()]);
    const added = graph.nodes.filter((node) => node.outputs[0].startsWith('d/'));
    expect(added.filter((node) => !node.outputs.some((name) => read.has(name)))).toEqual([]);
    expect([...graph.constants.keys()].filter((name) => name.startsWith('d/') && !read.has(name))).toEqual(
      [],
    );
  });
});
