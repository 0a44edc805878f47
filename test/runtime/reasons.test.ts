import { describe, expect, test } from 'vitest';
import { appendGradient } from '../../src/autodiff/walk.js';
import { gradientObstacle, hasGradient } from '../../src/autodiff/obstacle.js';
import { GradcamppError } from '../../src/errors.js';
import type { Graph } from '../../src/graph/graph.js';
import { boolConstant, int64Constant } from '../../src/onnx/constant.js';
import { reasonOf } from '../../src/runtime/reasons.js';
import { openSession } from '../../src/runtime/session.js';
import { prepared } from '../graph/equal.js';
import { Explainer } from '../../src/batch/explainer.js';
import {
  bytesFrom,
  classifier,
  graphFrom,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';

const one = (nodes: readonly ShortNode[], more: Partial<ShortGraph> = {}): Graph =>
  graphFrom({ inputs: { x: ['N', 6] }, outputs: ['y'], nodes, ...more });

/** The message that a graph is refused or fails with. */
async function messageOf(graph: Graph, dims: readonly number[] = [2, 6]): Promise<string> {
  const act = async () => {
    const session = await openSession(graph, { threads: 1 });
    const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
    try {
      await session.run({ x: { type: 'float32', dims, data } });
    } finally {
      await session.close();
    }
  };
  const error = await act().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(GradcamppError);
  return (error as GradcamppError).message;
}

const alike = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) => ({ ...node, name: 'alike' })),
});

const refused = 'ONNX Runtime refuses the model: ';
const failed = 'ONNX Runtime failed: ';

describe("ONNX Runtime's errors as sentences", () => {
  test.each<[string, Graph, string]>([
    [
      'an unknown operator',
      one([['Relo', ['x'], ['y']]]),
      `${refused}Relo "node_y": there is no such operator. Closest: "Relu"`,
    ],
    [
      'one of a newer operator set',
      one([['Swish', ['x'], ['y']]]),
      `${refused}Swish "node_y": there is no such operator. Operator set 18 has none.`,
    ],
    [
      'one of a library of its own',
      {
        ...one([['Warp', ['x'], ['y']]]),
        nodes: one([['Warp', ['x'], ['y']]]).nodes.map((node) => ({ ...node, domain: 'own' })),
        domains: new Map([['own', 1]]),
      },
      `${refused}own.Warp "node_y": there is no such operator. It is none of ONNX's own, and libraries of operators are not loaded.`,
    ],
    [
      'an unknown attribute',
      one([['Relu', ['x'], ['y'], { slope: 1 }]]),
      `${refused}Relu "node_y": its operator has no attribute "slope".`,
    ],
    [
      'a missing attribute',
      one([['Concat', ['x', 'x'], ['y']]]),
      `${refused}Concat "node_y": it lacks the attribute "axis".`,
    ],
    [
      'an attribute of another kind',
      one([['Concat', ['x', 'x'], ['y'], { axis: 'last' }]]),
      `${refused}Concat "node_y": its attribute "axis" is STRING and must be INT.`,
    ],
    [
      'too few inputs',
      one([['Add', ['x'], ['y']]]),
      `${refused}Add "node_y": it has 1 inputs, and 2 is wanted.`,
    ],
    [
      'an absent input',
      one([['Add', ['x', ''], ['y']]]),
      /^ONNX Runtime refuses the model: Add "node_y": it (has 1 inputs, and 2 is wanted|lacks its input 1)\.$/ as never,
    ],
    [
      'types that do not meet',
      one([['Add', ['x', 'i'], ['y']]], { constants: { i: int64Constant([1]) } }),
      `${refused}Add "node_y": its inputs must be of one type, and are float and int64.`,
    ],
    [
      'a type that it does not take',
      one([['Relu', ['b'], ['y']]], { constants: { b: boolConstant([true], [1]) } }),
      `${refused}Relu "node_y": it takes no bool, the type of its input "b".`,
    ],
    [
      'dims that cannot be',
      one([['MatMul', ['x', 'w'], ['y']]], { constants: { w: weights(1, [5, 2]) } }),
      `${refused}MatMul "node_y": incompatible dimensions for matrix multiplication.`,
    ],
    [
      'two nodes of one name',
      alike(
        one([
          ['Relu', ['x'], ['h']],
          ['Relu', ['h'], ['y']],
        ]),
      ),
      `${refused}two nodes are called "alike".`,
    ],
    ['what nothing makes', one([['Relu', ['z'], ['y']]]), `${refused}nothing makes the value "z".`],
    [
      'dims that do not fit when it runs',
      one([['Reshape', ['x', 's'], ['y']]], { constants: { s: int64Constant([5, -1]) } }),
      /^ONNX Runtime failed: Reshape "node_y": the input tensor cannot be reshaped to the requested shape\. Input shape:\{2,6\}, requested shape:\{5,-1\}\.$/ as never,
    ],
    [
      'indices out of range',
      one([['Gather', ['x', 'i'], ['y']]], { constants: { i: int64Constant([7]) } }),
      `${failed}Gather "node_y": indices element out of data bounds, idx=7 must be within the inclusive range [-2,1].`,
    ],
  ])('%s', async (_, graph, expected) => {
    const message = await messageOf(graph);
    if (typeof expected === 'string') expect(message).toContain(expected);
    else expect(message).toMatch(expected);
    expect(message).not.toMatch(/onnxruntime|\.cc|\.h:|::|InferenceError|tensor\(|\n/);
  });

  /** As onnxruntime-web says it. */
  const ofWeb = (text: string) => `failed to call OrtRun(). ERROR_CODE: 1, ERROR_MESSAGE: ${text}`;
  const download =
    '/mnt/a/onnxruntime/core/providers/webgpu/buffer_manager.cc:605 void onnxruntime::webgpu::BufferManager::Download(WGPUBuffer, void *, size_t) const ';

  test.each([
    [
      'what a GPU refuses to bind',
      'WebGPU validation failed. Binding size (1000000000) is larger than the size (2048) of [Buffer (unlabeled)].\n - While validating entries[0] against { binding: 0, buffer: {type: BufferBindingType::ReadOnlyStorage} }.\n - While calling [Device].CreateBindGroup([BindGroupDescriptor ""Relu""]).\n',
      'the GPU refuses what it is asked: Binding size (1000000000) is larger than the size (2048) of [Buffer (unlabeled)]',
    ],
    [
      'what a GPU refuses to dispatch, at a node',
      "Non-zero status code returned while running Relu node. Name:'r' Status Message: WebGPU validation failed. Dispatch workgroup count X (100000) exceeds max compute workgroups per dimension (65535).\n - While encoding [ComputePassEncoder (unlabeled)].DispatchWorkgroups(100000, 1, 1).\n",
      'Relu "r": the GPU refuses what it is asked: Dispatch workgroup count X (100000) exceeds max compute workgroups per dimension (65535)',
    ],
    [
      'what a GPU refuses to compile',
      `${download}[ONNXRuntimeError] : 1 : FAIL : Failed to create a WebGPU compute pipeline: [Invalid ShaderModule "Relu"] is invalid due to a previous error.\n - While validating compute stage ([Invalid ShaderModule "Relu"], entryPoint: "main").\n\n`,
      'the GPU refuses what it is asked: [Invalid ShaderModule "Relu"] is invalid due to a previous error',
    ],
    [
      'a GPU that answers no more',
      `${download}map_async_result.status == wgpu::MapAsyncStatus::Success was false. Failed to download data from buffer. wgpu::MapAsyncStatus value: 4, message: \n`,
      'the GPU gives no answer: it was lost, or has too little memory',
    ],
    ['a lost GPU', 'WebGPU device lost (1): Out of device memory.', 'the GPU was lost: Out of device memory'],
    [
      'what WebAssembly says like all others',
      '/mnt/a/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:40 onnxruntime::ReshapeHelper::ReshapeHelper(const TensorShape &, TensorShapeVector &, bool) size != 0 was false. The input tensor cannot be reshaped to the requested shape.',
      'the input tensor cannot be reshaped to the requested shape',
    ],
  ])('%s', (_, text, expected) => {
    expect(reasonOf(new Error(ofWeb(text)))).toBe(expected);
  });

  test('what cannot be read is left out', () => {
    const words = [
      '/onnxruntime_src/onnxruntime/core/x.cc:12 virtual void onnxruntime::A::B(const C&, int) const ',
      'Exception during initialization: /a/b.cc:3 void f(int) x == y was false. OrtValue indexes are wrong',
      'std::bad_function_call',
    ];
    for (const text of words) expect(reasonOf(new Error(text))).toBe('it gives no reason in words');
    const located = `Non-zero status code returned while running Add node. Name:'a' Status Message: ${words[0]}`;
    expect(reasonOf(new Error(located))).toBe('Add "a", for a reason that it does not say in words');
  });

  test('a weight without a name', () => {
    const text =
      'Exception during initialization: Graph ctor should have created NodeArg for initializer. Missing:';
    expect(reasonOf(new Error(text))).toBe('a weight has no name');
  });

  test('signatures of any kind are cut off', () => {
    const path = '/onnxruntime_src/onnxruntime/core/providers/cpu/tensor';
    const texts = [
      `${path}/gather_elements.cc:150 void onnxruntime::core_impl(const Tensor*, Tensor*) [with Tin = long int; int64_t = long int] Words of it\n`,
      `${path}/common.h:31 int64_t onnxruntime::Handle(int64_t, int64_t) IsIn(axis, rank) && a == b was false. Words of it`,
      'col2im.cc:92 Compute Words of it.',
    ];
    for (const text of texts) expect(reasonOf(new Error(text))).toBe('words of it');
  });
});

describe('messages name what the file has', () => {
  test('its operator set, not the one that it is raised to', async () => {
    const graph = one([['MaxRoiPool', ['x', 'r'], ['y'], { pooled_shape: [1, 1] }]], {
      inputs: { x: [1, 2, 4, 4] },
      constants: { r: weights(1, [1, 5]) },
      opset: 9,
    });
    const ready = await prepared(graph);
    expect(gradientObstacle(ready, 'x', 'y')).toMatch(
      /^MaxRoiPool "node_y" \(opset 9\) has no gradient rule: /,
    );
  });

  test('its operator, not the ones that it is read as', async () => {
    const upsample = one([['Upsample', ['x', 's'], ['y']]], {
      inputs: { x: [1, 2, 4, 4] },
      constants: { s: weights(1, [3]) },
      opset: 9,
    });
    await expect(prepared(upsample)).rejects.toThrow(/^ONNX Runtime refuses the model: Upsample "node_y": /);
    const composite = one([['QuickGelu', ['x'], ['y']]]);
    const ready = await prepared({
      ...composite,
      domains: new Map([['com.microsoft', 1]]),
      nodes: composite.nodes.map((node) => ({ ...node, domain: 'com.microsoft' })),
    });
    expect(ready.nodes.map(({ origin }) => origin)).toEqual(
      Array(3).fill('com.microsoft.QuickGelu "node_y"'),
    );
  });

  test('the node whose gradient fails', async () => {
    const graph = await prepared(one([['Relu', ['x'], ['y']]], { inputs: { x: ['N', 'M'] } }));
    const made = appendGradient(graph, { of: [{ output: 'y', seed: 'seed' }], wrt: ['x'] });
    const added = made.graph.nodes.filter(({ name }) => name !== 'node_y');
    expect(new Set(added.map(({ origin }) => origin))).toEqual(new Set(['the gradient of Relu "node_y"']));
  });
});

describe('whether there is a gradient', () => {
  const tail = (op: ShortNode): ShortNode[] => [['Conv', ['x', 'w'], ['c']], ['Relu', ['c'], ['r']], op];
  const more = { inputs: { x: ['N', 3, 8, 8] }, constants: { w: weights(1, [4, 3, 3, 3]) } };

  test('where every operator lets it through', async () => {
    const graph = await prepared(one(tail(['GlobalAveragePool', ['r'], ['y']]), more));
    expect(hasGradient(graph, 'r', 'y')).toBe(true);
    expect(gradientObstacle(graph, 'x', 'y')).toBeUndefined();
  });

  test('not where one lets nothing through, or nothing depends on the value', async () => {
    const graph = await prepared(
      one([...tail(['Round', ['r'], ['y']]), ['Neg', ['r'], ['n']]], { ...more, outputs: ['y', 'n'] }),
    );
    expect(gradientObstacle(graph, 'r', 'y')).toBe(
      'The gradient of "y" by "r" is zero everywhere: Round "node_y" lets none through (zero on purpose: piecewise constant).',
    );
    expect(gradientObstacle(graph, 'n', 'y')).toBe(
      'The gradient of "y" by "n" is zero everywhere: nothing depends on it.',
    );
    expect(hasGradient(graph, 'c', 'n')).toBe(true);
  });

  test('not through operators without a rule, but behind them', async () => {
    const whole = one(
      [
        ['Conv', ['x', 'w'], ['c']],
        ['DynamicQuantizeLinear', ['c'], ['q', 's', 'z']],
        ['DequantizeLinear', ['q', 's', 'z'], ['d']],
        ['Relu', ['d'], ['r']],
        ['GlobalAveragePool', ['r'], ['y']],
      ],
      more,
    );
    const graph = await prepared(whole);
    expect(gradientObstacle(graph, 'c', 'y')).toMatch(
      /^DynamicQuantizeLinear "node_q" \(opset 18\) has no gradient rule/,
    );
    expect(hasGradient(graph, 'd', 'y')).toBe(true);
  });

  test('decides the automatic layer: one behind what has no rule', async () => {
    const short = classifier({ head: 'pool' });
    const [conv1, relu1, conv2, relu2, ...head] = short.nodes;
    const nodes: ShortNode[] = [
      conv1,
      relu1,
      conv2,
      ['DynamicQuantizeLinear', ['conv2'], ['q', 's', 'z']],
      ['DequantizeLinear', ['q', 's', 'z'], ['dequantized']],
      ['Conv', ['dequantized', 'w5'], ['conv3']],
      [relu2[0], ['conv3'], relu2[2]],
      ...head,
    ];
    const constants = { ...short.constants, w5: weights(8, [6, 6, 1, 1]) };
    await using explainer = await Explainer.open(bytesFrom({ ...short, nodes, constants }));
    expect(explainer.layers).toEqual(['relu2']);
    expect(explainer.notes.filter((note) => note.includes('gradient'))).toEqual([]);
    const deeper: ShortNode[] = [
      ...nodes.slice(0, -3),
      ['DynamicQuantizeLinear', ['relu2'], ['q2', 's2', 'z2']],
      ['DequantizeLinear', ['q2', 's2', 'z2'], ['last']],
      ['GlobalAveragePool', ['last'], ['pooled']],
      ...head.slice(1),
    ];
    await using other = await Explainer.open(bytesFrom({ ...short, nodes: deeper, constants }));
    expect(other.layers).toEqual(['last']);
    expect(other.notes.filter((note) => note.includes('gradient'))).toEqual([
      expect.stringMatching(
        /^DynamicQuantizeLinear "node_q2" \(opset 18\) has no gradient rule: .* So a layer behind it is explained\.$/,
      ),
    ]);
    const dims = [1, 3, 8, 8];
    const [{ targets }] = await other.explain({ type: 'float32', dims, data: values(4, dims) });
    expect(targets[0].map.data.every(Number.isFinite)).toBe(true);
  });
});
