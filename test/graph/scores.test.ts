import { describe, expect, test } from 'vitest';
import { float, type Plain } from '../../src/graph/attributes.js';
import type { Graph } from '../../src/graph/graph.js';
import { findScores } from '../../src/graph/scores.js';
import { type Constant, floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { probabilitiesOf } from '../../src/targets/common/probabilities.js';
import { graphFrom, type ShortNode, weights } from '../support/network.js';
import { outputsOf, prepared } from './equal.js';

const number = (value: number) => floatConstant([value], []);
const constants: Record<string, Constant> = {
  w: weights(1, [6, 5], 4),
  v: weights(2, [6, 5], 4),
  one: number(1),
  minus: number(-1),
  half: number(0.5),
  two: number(2),
  three: number(3),
  six: number(6),
  zero: number(0),
  low: number(0.2),
  high: number(0.9),
  percent: number(100),
  tiny: number(1e-7),
  almost: number(1 - 1e-7),
  rows: floatConstant([2, 2, 2, 2, 2], [1, 5]),
  uneven: floatConstant([0.1, 0.2, 0.3, 0.2, 0.2], [1, 5]),
  axis: int64Constant([1]),
  last: int64Constant([-1]),
  four: int64Constant([0, 5, 1, 1]),
  flat: int64Constant([0, 5]),
  from: int64Constant([1]),
  to: int64Constant([9]),
  turned: int64Constant([4, 3, 2, 1, 0]),
};

/** A model [N, 6] → z, z2 [N, 5] → y. */
async function model(tail: readonly ShortNode[], outputs = ['y']): Promise<Graph> {
  return prepared(
    graphFrom({
      inputs: { x: ['N', 6] },
      outputs,
      nodes: [['MatMul', ['x', 'w'], ['z']], ['MatMul', ['x', 'v'], ['z2']], ...tail],
      constants,
    }),
  );
}

const x = {
  type: 'float32' as const,
  dims: [3, 6],
  data: Float32Array.from({ length: 18 }, (_, i) => Math.sin(i * 1.7)),
};

/** What the scores' link makes of them, and what the model gives, of every row. */
async function compared(graph: Graph): Promise<{ made: number[][]; given: number[][]; scores: string }> {
  const { info, link } = findScores(graph);
  const outputs = [...new Set(['y', info.name])].map((name) => ({ name, type: undefined, dims: undefined }));
  const results = await outputsOf({ ...graph, outputs }, { x });
  const rowsOf = (name: string) => {
    const data = results[name].data as Float32Array;
    const length = data.length / 3;
    return [0, 1, 2].map((n) => data.slice(n * length, (n + 1) * length));
  };
  return {
    scores: info.name,
    made: rowsOf(info.name).map((row) => [...(probabilitiesOf(row, link) ?? [])]),
    given: rowsOf('y').map((row) => [...row]),
  };
}

const softmax = (from: string, to: string): ShortNode => ['Softmax', [from], [to], { axis: 1 }];

const steppedOver: readonly [string, readonly ShortNode[]][] = [
  ['Softmax', [softmax('z', 'y')]],
  [
    'Softmax of a Reshape, laid out anew',
    [['Reshape', ['z', 'four'], ['r']], softmax('r', 's'), ['Flatten', ['s'], ['y']]],
  ],
  [
    'Softmax, turned and turned back',
    [
      ['Reshape', ['z', 'four'], ['r']],
      softmax('r', 's'),
      ['Transpose', ['s'], ['t'], { perm: [0, 2, 3, 1] }],
      ['Reshape', ['t', 'flat'], ['y']],
    ],
  ],
  ['Softmax, clipped against 0 and 1', [softmax('z', 's'), ['Clip', ['s', 'tiny', 'almost'], ['y']]]],
  ['Softmax, clipped between others', [softmax('z', 's'), ['Clip', ['s', 'low', 'high'], ['y']]]],
  [
    'exp(z − max)/Σ',
    [
      ['ReduceMax', ['z', 'axis'], ['m']],
      ['Sub', ['z', 'm'], ['d']],
      ['Exp', ['d'], ['e']],
      ['ReduceSum', ['e', 'axis'], ['s']],
      ['Div', ['e', 's'], ['y']],
    ],
  ],
  [
    'exp(z)/Σ, exp written twice, the sum laid out',
    [
      ['Exp', ['z'], ['e']],
      ['Exp', ['z'], ['e2']],
      ['ReduceSum', ['e2', 'last'], ['s'], { keepdims: 0 }],
      ['Unsqueeze', ['s', 'axis'], ['u']],
      ['Div', ['e', 'u'], ['y']],
    ],
  ],
  [
    'exp(z)·1/(Σ + ε)',
    [
      ['Exp', ['z'], ['e']],
      ['ReduceSum', ['e', 'axis'], ['s']],
      ['Add', ['s', 'tiny'], ['t']],
      ['Reciprocal', ['t'], ['i']],
      ['Mul', ['e', 'i'], ['y']],
    ],
  ],
  [
    'exp of log-softmax',
    [
      ['LogSoftmax', ['z'], ['l'], { axis: -1 }],
      ['Exp', ['l'], ['y']],
    ],
  ],
  [
    'exp of a log-softmax spelled out',
    [
      ['ReduceLogSumExp', ['z', 'axis'], ['l']],
      ['Sub', ['z', 'l'], ['d']],
      ['Exp', ['d'], ['y']],
    ],
  ],
  [
    'exp of another',
    [
      ['ReduceMax', ['z', 'axis'], ['m']],
      ['Sub', ['z', 'm'], ['d']],
      ['Exp', ['d'], ['e']],
      ['ReduceSum', ['e', 'axis'], ['s']],
      ['Log', ['s'], ['l']],
      ['Add', ['l', 'm'], ['a']],
      ['Sub', ['z', 'a'], ['b']],
      ['Exp', ['b'], ['y']],
    ],
  ],
  ['Sigmoid', [['Sigmoid', ['z'], ['y']]]],
  [
    '1/(1 + exp(−z))',
    [
      ['Neg', ['z'], ['n']],
      ['Exp', ['n'], ['e']],
      ['Add', ['one', 'e'], ['a']],
      ['Div', ['one', 'a'], ['y']],
    ],
  ],
  [
    'the same by Reciprocal and Mul',
    [
      ['Mul', ['z', 'minus'], ['n']],
      ['Exp', ['n'], ['e']],
      ['Add', ['e', 'one'], ['a']],
      ['Reciprocal', ['a'], ['y']],
    ],
  ],
  [
    'exp(z)/(1 + exp(z))',
    [
      ['Exp', ['z'], ['e']],
      ['Add', ['e', 'one'], ['a']],
      ['Div', ['e', 'a'], ['y']],
    ],
  ],
  [
    '(1 + tanh(z/2))/2',
    [
      ['Mul', ['z', 'half'], ['h']],
      ['Tanh', ['h'], ['t']],
      ['Add', ['t', 'one'], ['a']],
      ['Div', ['a', 'two'], ['y']],
    ],
  ],
  [
    'exp(−softplus(−z))',
    [
      ['Neg', ['z'], ['n']],
      ['Softplus', ['n'], ['s']],
      ['Neg', ['s'], ['l']],
      ['Exp', ['l'], ['y']],
    ],
  ],
  [
    'Sigmoid, scaled and moved',
    [
      ['Sigmoid', ['z'], ['s']],
      ['Mul', ['s', 'half'], ['m']],
      ['Add', ['m', 'low'], ['y']],
    ],
  ],
  ['HardSigmoid', [['HardSigmoid', ['z'], ['y'], { alpha: float(1 / 6) }]]],
  [
    'clip(z + 3, 0, 6)/6',
    [
      ['Add', ['z', 'three'], ['a']],
      ['Clip', ['a', 'zero', 'six'], ['c']],
      ['Div', ['c', 'six'], ['y']],
    ],
  ],
  ['Softmax of z/2', [['Div', ['z', 'two'], ['t']], softmax('t', 'y')]],
  ['a Slice of all', [softmax('z', 's'), ['Slice', ['s', 'first', 'to', 'axis'], ['y']]]],
];

describe('scores before a softmax or sigmoid, however it is written', () => {
  test.each(steppedOver)('%s', async (_, tail) => {
    Object.assign(constants, { first: int64Constant([0]) });
    const { made, given, scores } = await compared(await model(tail));
    expect(scores).not.toBe('y');
    made.forEach((row, n) => row.forEach((value, i) => expect(value).toBeCloseTo(given[n][i], 5)));
    expect(made.flat()).toHaveLength(15);
    expect(['z', 'r', 't', 'a']).toContain(scores);
  });

  test.each<[string, readonly ShortNode[], string]>([
    ['in percent', [softmax('z', 's'), ['Mul', ['s', 'percent'], ['y']]], 'softmax'],
    [
      'scaled by equal numbers in a row',
      [
        ['Sigmoid', ['z'], ['s']],
        ['Mul', ['rows', 's'], ['y']],
      ],
      'sigmoid',
    ],
    ['as logarithms', [softmax('z', 's'), ['Log', ['s'], ['y']]], 'softmax'],
    [
      'as logarithms of clipped ones',
      [softmax('z', 's'), ['Clip', ['s', 'tiny', ''], ['c']], ['Log', ['c'], ['y']]],
      'softmax',
    ],
  ])('%s, too: the probabilities are the function itself', async (_, tail, link) => {
    expect(findScores(await model(tail))).toMatchObject({ info: { name: 'z' }, link, output: 'y' });
  });
});

const kept: readonly [string, readonly ShortNode[]][] = [
  [
    'the mean of two softmaxes',
    [softmax('z', 'a'), softmax('z2', 'b'), ['Add', ['a', 'b'], ['s']], ['Mul', ['s', 'half'], ['y']]],
  ],
  ['the same by Mean', [softmax('z', 'a'), softmax('z2', 'b'), ['Mean', ['a', 'b'], ['y']]]],
  [
    'a weighted mean of both kinds',
    [
      softmax('z', 'a'),
      ['Sigmoid', ['z2'], ['b']],
      ['Mul', ['a', 'low'], ['c']],
      ['Mul', ['b', 'half'], ['d']],
      ['Add', ['c', 'd'], ['y']],
    ],
  ],
  ['some classes of a softmax', [softmax('z', 's'), ['Slice', ['s', 'from', 'to', 'axis'], ['y']]]],
  ['classes in another order', [softmax('z', 's'), ['Gather', ['s', 'turned'], ['y'], { axis: 1 }]]],
  ['classes weighed apart', [softmax('z', 's'), ['Mul', ['s', 'uneven'], ['y']]]],
  [
    'the other probability',
    [
      ['Sigmoid', ['z'], ['s']],
      ['Sub', ['one', 's'], ['y']],
    ],
  ],
  [
    'both probabilities',
    [
      ['Sigmoid', ['z'], ['s']],
      ['Sub', ['one', 's'], ['n']],
      ['Concat', ['n', 's'], ['y'], { axis: 1 }],
    ],
  ],
  ['a product of probabilities', [['Sigmoid', ['z'], ['s']], softmax('z2', 't'), ['Mul', ['s', 't'], ['y']]]],
  [
    'shares of other positive numbers',
    [
      ['Softplus', ['z'], ['p']],
      ['Abs', ['p'], ['q']],
      ['Relu', ['q'], ['r']],
      ['ReduceSum', ['r', 'axis'], ['t']],
      ['Div', ['r', 't'], ['y']],
    ],
  ],
  [
    'the larger of two',
    [
      ['Sigmoid', ['z'], ['s']],
      ['Sigmoid', ['z2'], ['t']],
      ['Max', ['s', 't'], ['y']],
    ],
  ],
  [
    'probabilities at their peaks alone',
    [
      ['Sigmoid', ['z'], ['s']],
      ['ReduceMax', ['s', 'axis'], ['most']],
      ['Equal', ['s', 'most'], ['isMost']],
      ['Cast', ['isMost'], ['peak'], { to: 1 }],
      ['Mul', ['s', 'peak'], ['y']],
    ],
  ],
  [
    'a quantised softmax',
    [
      softmax('z', 's'),
      ['QuantizeLinear', ['s', 'step', 'origin'], ['q']],
      ['DequantizeLinear', ['q', 'step', 'origin'], ['y']],
    ],
  ],
];

describe('what cannot be stepped over', () => {
  test.each(kept)('%s: the scores are the probabilities', async (_, tail) => {
    Object.assign(constants, {
      step: number(1 / 255),
      origin: { type: 2, dims: [], bytes: Uint8Array.of(0) },
    });
    const graph = await model(tail);
    expect(findScores(graph)).toMatchObject({ info: { name: 'y' }, link: 'identity' });
    const { made, given } = await compared(graph);
    expect(made).toEqual(given);
  });

  test.each<[string, readonly ShortNode[], string]>([
    [
      'the sum of two softmaxes is none',
      [softmax('z', 'a'), softmax('z2', 'b'), ['Add', ['a', 'b'], ['y']]],
      'none',
    ],
    [
      '2σ(z) − 1 is none',
      [
        ['Sigmoid', ['z'], ['s']],
        ['Mul', ['s', 'two'], ['d']],
        ['Sub', ['d', 'one'], ['y']],
      ],
      'none',
    ],
    ['-softmax is none', [softmax('z', 's'), ['Neg', ['s'], ['y']]], 'none'],
    [
      'a rounded softmax',
      [
        softmax('z', 's'),
        ['Mul', ['s', 'percent'], ['p']],
        ['Cast', ['p'], ['i'], { to: 6 }],
        ['Cast', ['i'], ['y'], { to: 1 }],
      ],
      'none',
    ],
    ['clipped logits are logits', [['Clip', ['z', 'minus', 'three'], ['y']]], 'softmax'],
    [
      'gated logits are logits',
      [
        ['Sigmoid', ['z'], ['s']],
        ['Mul', ['z', 's'], ['y']],
      ],
      'softmax',
    ],
  ])('%s', async (_, tail, link) => {
    expect(findScores(await model(tail))).toMatchObject({ info: { name: 'y' }, link });
  });

  test('a softmax over the batch, and a quotient that is none', async () => {
    for (const tail of [
      [['Softmax', ['z'], ['y'], { axis: 0 }]],
      [
        ['Exp', ['z'], ['e']],
        ['Exp', ['z2'], ['f']],
        ['ReduceSum', ['f', 'axis'], ['s']],
        ['Div', ['e', 's'], ['y']],
      ],
    ] as ShortNode[][])
      expect(findScores(await model(tail)).info.name).toBe('y');
  });
});

const picks = (graph: Graph, name?: string) => {
  const { output, info, notes } = findScores(graph, name);
  return { output, scores: info.name, notes: notes.length };
};

describe('the output that is explained', () => {
  const features: ShortNode[] = [
    ['Relu', ['z'], ['f']],
    ['Gemm', ['f', 'head'], ['logits']],
  ];
  Object.assign(constants, { head: weights(3, [5, 4]), head2: weights(4, [5, 3]), k: int64Constant([2]) });

  test('is not a feature that scores are computed from', async () => {
    expect(picks(await model(features, ['f', 'logits']))).toEqual({
      output: 'logits',
      scores: 'logits',
      notes: 0,
    });
    expect(picks(await model([...features, ['Gemm', ['f', 'head2'], ['o']]], ['f', 'o']))).toMatchObject({
      output: 'o',
      notes: 0,
    });
  });

  test('is not an index, nor places in the picture', async () => {
    const tail: ShortNode[] = [
      ...features,
      ['ArgMax', ['logits'], ['best'], { axis: 1, keepdims: 0 }],
      ['Reshape', ['f', 'cube'], ['map']],
    ];
    Object.assign(constants, { cube: int64Constant([0, 1, 5, 1]) });
    expect(picks(await model(tail, ['best', 'map', 'logits']))).toMatchObject({ output: 'logits', notes: 0 });
  });

  test('is what a softmax or a choice reads, rather than another of equal dims', async () => {
    const tail: ShortNode[] = [
      ...features,
      ['Gemm', ['f', 'head2'], ['a']],
      ['ArgMax', ['a'], ['best'], { axis: 1 }],
    ];
    expect(picks(await model(tail, ['logits', 'a', 'best']))).toMatchObject({ scores: 'a', notes: 1 });
  });

  test('is told by its name where nothing else tells', async () => {
    const tail: ShortNode[] = [
      ...features,
      ['Gemm', ['f', 'head2'], ['aux_logits']],
      ['Gemm', ['f', 'head2'], ['x_embedding']],
    ];
    expect(picks(await model(tail, ['x_embedding', 'aux_logits', 'logits']))).toEqual({
      output: 'logits',
      scores: 'logits',
      notes: 0,
    });
  });

  test('is the first of several that could be meant, and the note names all', async () => {
    const tail: ShortNode[] = [
      ...features,
      ['Gemm', ['f', 'head2'], ['colour']],
      ['Identity', ['logits'], ['kind']],
    ];
    const { output, notes } = findScores(await model(tail, ['colour', 'kind']));
    expect(output).toBe('colour');
    expect(notes).toEqual([
      'Several outputs could be the class scores: "colour" [N, 3], "kind" [N, 4]. "colour" is explained; choose another with --output (option "output").',
    ]);
  });

  test('means the same twice: logits and their softmax', async () => {
    const tail: ShortNode[] = [...features, ['Softmax', ['logits'], ['p'], { axis: 1 }]];
    expect(picks(await model(tail, ['logits', 'p']))).toEqual({
      output: 'logits',
      scores: 'logits',
      notes: 0,
    });
    expect(picks(await model(tail, ['p', 'logits']), 'p')).toEqual({
      output: 'p',
      scores: 'logits',
      notes: 0,
    });
  });

  test('steps over TopK and ArgMax to what they read', async () => {
    const tail: ShortNode[] = [
      ...features,
      ['Softmax', ['logits'], ['p'], { axis: 1 }],
      ['TopK', ['p', 'k'], ['values', 'places'], { axis: 1 }],
    ];
    for (const outputs of [['values', 'places'], ['places']])
      expect(picks(await model(tail, outputs))).toMatchObject({ output: outputs[0], scores: 'logits' });
    const best: ShortNode[] = [
      ...features,
      ['ArgMax', ['logits'], ['best'], { axis: 1, keepdims: 0 }],
      ['Cast', ['best'], ['y'], { to: 6 }],
    ];
    expect(picks(await model(best))).toEqual({ output: 'y', scores: 'logits', notes: 0 });
  });

  test('is the scores themselves, though what picks of them is laid out anew', async () => {
    Object.assign(constants, { rows4: int64Constant([-1, 4]) });
    const tail: ShortNode[] = [
      ...features,
      ['Reshape', ['logits', 'rows4'], ['r']],
      ['ArgMax', ['r'], ['best'], { axis: 1 }],
    ];
    expect(picks(await model(tail, ['best', 'logits']))).toEqual({
      output: 'logits',
      scores: 'logits',
      notes: 0,
    });
  });

  test('a name that there is not, and a value that is no tensor of floats', async () => {
    const graph = await model(
      [...features, ['Shape', ['z'], ['dims']], ['SequenceConstruct', ['z'], ['list']]],
      ['logits', 'dims', 'list'],
    );
    expect(() => findScores(graph, 'logit')).toThrow(
      /"output" must name a value of the model; received "logit"\. Closest: "logits"/,
    );
    expect(() => findScores(graph, 'list')).toThrow(
      '"output" must name a tensor of floats; "list" is none, and none is behind it.',
    );
    expect(() => findScores(graph, 'dims')).toThrow('"dims" is none');
    expect(picks(graph)).toMatchObject({ output: 'logits', notes: 0 });
  });
});

describe('class names that operators give', () => {
  const ml = async (
    tail: readonly ShortNode[],
    outputs: readonly string[],
    attributes: Record<string, Record<string, Plain>>,
  ) => {
    const graph = graphFrom({
      inputs: { x: ['N', 6] },
      outputs,
      nodes: [['MatMul', ['x', 'w'], ['z']], softmax('z', 'p'), ...tail],
      constants,
    });
    const own = new Set(['ZipMap', 'LabelEncoder', 'ArrayFeatureExtractor']);
    const { attributesOf } = await import('../../src/graph/attributes.js');
    return prepared({
      ...graph,
      domains: new Map([['ai.onnx.ml', 2]]),
      outputs: outputs.map((name) => ({ name, type: undefined, dims: undefined })),
      nodes: graph.nodes.map((node) =>
        own.has(node.opType)
          ? { ...node, domain: 'ai.onnx.ml', attributes: attributesOf(attributes[node.opType]) }
          : node,
      ),
    });
  };
  const strings = (value: readonly string[]): Plain => ({ kind: 'strings', value });
  const names = ['cat', 'dog', 'eel', 'fox', 'gnu'];

  test('ZipMap, alone and beside labels', async () => {
    const tail: ShortNode[] = [
      ['ArgMax', ['p'], ['i'], { axis: 1, keepdims: 0 }],
      ['ZipMap', ['p'], ['loss']],
    ];
    const attributes = { ZipMap: { classlabels_strings: strings(names) } };
    for (const outputs of [['loss'], ['i', 'loss'], ['loss', 'i']]) {
      const { info, link, classNames } = findScores(await ml(tail, outputs, attributes));
      expect([info.name, link, classNames]).toEqual(['z', 'softmax', names]);
    }
    const numbers = { ZipMap: { classlabels_int64s: [10, 11, 12, 13, 14] } };
    expect(findScores(await ml(tail, ['loss'], numbers)).classNames).toEqual(['10', '11', '12', '13', '14']);
  });

  test('LabelEncoder behind ArgMax', async () => {
    const tail: ShortNode[] = [
      ['ArgMax', ['p'], ['i'], { axis: 1, keepdims: 0 }],
      ['LabelEncoder', ['i'], ['label']],
    ];
    const attributes = { LabelEncoder: { keys_int64s: [0, 1, 2, 3, 4], values_strings: strings(names) } };
    expect(findScores(await ml(tail, ['label'], attributes))).toMatchObject({
      info: { name: 'z' },
      classNames: names,
    });
  });
});
