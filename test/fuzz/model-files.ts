import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attributesOf } from '../../src/graph/attributes.js';
import type { Graph } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import { boolConstant, floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { buildCase } from '../autodiff/case.js';
import { families } from '../autodiff/cases/index.js';
import { classifier, graphFrom, loopBody } from '../support/network.js';

/** A convolution whose input and output are quantised. */
function quantizedPair(): Graph {
  const { nodes, constants, ...rest } = classifier({ head: 'pool' });
  const [conv, ...others] = nodes;
  const scale = floatConstant([0.02], []);
  const zero = { type: DataType.UINT8, dims: [], bytes: Uint8Array.of(128) };
  return graphFrom({
    ...rest,
    constants: { ...constants, scale, zero },
    nodes: [
      ['QuantizeLinear', ['image', 'scale', 'zero'], ['q']],
      ['DequantizeLinear', ['q', 'scale', 'zero'], ['d']],
      [conv[0], ['d', 'w1', 'b1'], conv[2], conv[3]],
      ...others,
    ],
  });
}

/** Two heads, one softmax spelled out, their mean and the best class; dropout in training mode. */
function ensemble(): Graph {
  const { nodes, constants, ...rest } = classifier({ head: 'pool' });
  return graphFrom({
    ...rest,
    outputs: ['mean', 'best', 'logits'],
    constants: {
      ...constants,
      axis: int64Constant([1]),
      half: floatConstant([0.5], []),
      yes: boolConstant([true], []),
    },
    nodes: [
      ...nodes,
      ['Dropout', ['logits', 'half', 'yes'], ['dropped']],
      ['Softmax', ['dropped'], ['one'], { axis: 1 }],
      ['ReduceMax', ['logits', 'axis'], ['most']],
      ['Sub', ['logits', 'most'], ['d']],
      ['Exp', ['d'], ['e']],
      ['ReduceSum', ['e', 'axis'], ['s']],
      ['Div', ['e', 's'], ['other']],
      ['Mean', ['one', 'other'], ['mean']],
      ['ArgMax', ['mean'], ['best'], { axis: 1 }],
    ],
  });
}

/** A Loop and an interpolation to the size of the picture before the layer. */
function loop(): Graph {
  const body = loopBody('Relu');
  const { nodes, constants, ...rest } = classifier();
  return graphFrom({
    ...rest,
    constants: {
      ...constants,
      turns: int64Constant([2], []),
      two: int64Constant([2]),
      four: int64Constant([4]),
      none: int64Constant([0]),
    },
    nodes: [
      ['Loop', ['turns', '', 'image'], ['looped'], { body: { kind: 'graph', value: body } }],
      ['Shape', ['image'], ['shape']],
      ['Slice', ['shape', 'two', 'four', 'none'], ['size']],
      ['Resize', ['looped', '', '', 'size'], ['sized'], { axes: [2, 3] }],
      [nodes[0][0], ['sized', 'w1', 'b1'], nodes[0][2], nodes[0][3]],
      ...nodes.slice(1),
    ],
  });
}

/** Class names by ZipMap and in the metadata. */
function named(): Graph {
  const graph = graphFrom(classifier({ tail: 'softmax' }));
  const strings = { kind: 'strings', value: ['a', 'b', 'c', 'd', 'e'] } as const;
  return {
    ...graph,
    domains: new Map([['ai.onnx.ml', 2]]),
    metadata: new Map([['names', "{0: 'a', 1: 'b'}"]]),
    outputs: [{ name: 'map', type: undefined, dims: undefined }],
    nodes: [
      ...graph.nodes,
      {
        opType: 'ZipMap',
        domain: 'ai.onnx.ml',
        name: 'zip',
        inputs: ['probabilities'],
        outputs: ['map'],
        attributes: new Map([['classlabels_strings', strings]]),
      },
    ],
  };
}

/** Writes a small model for every operator, and some for what models are made of besides; gives their paths. */
export async function modelFiles(folder: string): Promise<string[]> {
  const byOperator = new Map(
    Object.values(families).flatMap((list) => list.map((item) => [item.op, item] as const)),
  );
  const graphs = [...byOperator.values()].map(
    (item) => buildCase(item, item.opsets?.[0] ?? 18, DataType.FLOAT).graph,
  );
  const branch = (op: string) => ({
    kind: 'graph' as const,
    value: {
      ...graphFrom({ inputs: {}, outputs: ['out'], nodes: [] }),
      nodes: [
        { opType: op, domain: '', name: op, inputs: ['x'], outputs: ['out'], attributes: attributesOf({}) },
      ],
    },
  });
  graphs.push(
    graphFrom(classifier()),
    graphFrom(classifier({ tail: 'softmax' })),
    quantizedPair(),
    ensemble(),
    loop(),
    named(),
    graphFrom({
      inputs: { x: [2, 4] },
      outputs: ['y'],
      constants: { yes: boolConstant([true], []), one: int64Constant([1], []) },
      nodes: [
        ['If', ['yes'], ['chosen'], { then_branch: branch('Abs'), else_branch: branch('Neg') }],
        ['SplitToSequence', ['chosen'], ['list'], { axis: 1 }],
        ['SequenceAt', ['list', 'one'], ['y']],
      ],
    }),
  );
  const paths = graphs.map((_, i) => join(folder, `${i}.onnx`));
  await Promise.all(graphs.map((graph, i) => writeFile(paths[i], modelFile(graph).toBytes())));
  return paths;
}
