import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Builder } from '../../src/graph/builder.js';
import { GradcamppError } from '../../src/errors.js';
import type { Graph } from '../../src/graph/graph.js';
import { boolConstant, floatConstant, floatsOf, int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { openSession } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';
import { Adam } from '../../src/train/optimizers/adam.js';
import { binaryCrossEntropy, crossEntropy } from '../../src/train/losses/index.js';
import { Trainer } from '../../src/train/trainer.js';
import type { NetworkBuilder } from '../../src/train/network-builder.js';
import { weightsOf } from '../../src/train/training-form.js';
import { randomNumbers } from '../map/random.js';
import { graphFrom, values, weights } from '../support/network.js';

const tensor = (data: ArrayLike<number>, dims: readonly number[]): Tensor<'float32'> => ({
  type: 'float32',
  dims,
  data: Float32Array.from(data),
});

/** scores = x·Wᵀ + b, two inputs, two classes. */
const linear = (): Graph =>
  graphFrom({
    inputs: { x: ['N', 2] },
    outputs: ['scores'],
    nodes: [['Gemm', ['x', 'W', 'b'], ['scores'], { transB: 1 }]],
    constants: {
      W: floatConstant([1, -1, 0.5, 2], [2, 2]),
      b: floatConstant([0.25, -0.5], [2]),
    },
  });
const labels = [{ name: 'labels', type: DataType.FLOAT, dims: ['N', 2] }];

/** Two convolutions with everything between them that the embedded network has. */
const convolutional = (): Graph =>
  graphFrom({
    inputs: { x: ['N', 2, 10, 10] },
    outputs: ['scores'],
    nodes: [
      ['Conv', ['x', 'W1', 'b1'], ['c1'], { strides: [2, 2], pads: [2, 2, 2, 2] }],
      ['Relu', ['c1'], ['r1']],
      ['MaxPool', ['r1'], ['p1'], { kernel_shape: [2, 2], strides: [2, 2] }],
      ['Conv', ['p1', 'W2', 'b2'], ['c2'], { pads: [1, 1, 1, 1] }],
      ['Relu', ['c2'], ['r2']],
      ['GlobalMaxPool', ['r2'], ['g']],
      ['Flatten', ['g'], ['f']],
      ['Gemm', ['f', 'W3', 'b3'], ['scores'], { transB: 1 }],
    ],
    constants: {
      W1: weights(1, [4, 2, 5, 5]),
      b1: weights(2, [4], 0.1),
      W2: weights(3, [5, 4, 3, 3]),
      b2: weights(4, [5], 0.1),
      W3: weights(5, [2, 5]),
      b3: weights(6, [2]),
    },
  });

describe('Trainer, a linear network', () => {
  let trainer: Trainer;
  const x = [1, 2, -1, 0.5];
  const y = [1, 0, 0, 1];
  beforeAll(async () => {
    const loss = (b: Builder) => binaryCrossEntropy(b, 'scores', 'labels');
    trainer = await Trainer.open(linear(), { weights: ['W', 'b'], inputs: labels, loss, threads: 1 });
  });
  afterAll(() => trainer.close());

  // By hand: scores [[-0.75, 4], [-1.25, 0]]; d loss / d scores = (sigmoid(s) - y) / 4.
  it('gives the loss and its gradients as computed by hand', async () => {
    const { loss, gradients } = await trainer.step({ x: tensor(x, [2, 2]), labels: tensor(y, [2, 2]) });
    const scores = [-0.75, 4, -1.25, 0];
    const expected = scores.map((s, i) => Math.log(1 + Math.exp(s)) - y[i] * s);
    expect(loss).toBeCloseTo(expected.reduce((sum, value) => sum + value, 0) / 4, 6);
    const d = scores.map((s, i) => (1 / (1 + Math.exp(-s)) - y[i]) / 4);
    const dW = [d[0] * 1 + d[2] * -1, d[0] * 2 + d[2] * 0.5, d[1] * 1 + d[3] * -1, d[1] * 2 + d[3] * 0.5];
    for (const [i, value] of dW.entries()) expect(gradients.get('W')?.[i]).toBeCloseTo(value, 6);
    expect(gradients.get('b')?.[0]).toBeCloseTo(d[0] + d[2], 6);
    expect(gradients.get('b')?.[1]).toBeCloseTo(d[1] + d[3], 6);
  });

  it('leaves the graph that it was given as it is, and returns one with the learned weights', async () => {
    const graph = linear();
    const loss = (b: Builder) => crossEntropy(b, 'scores', 'labels');
    const own = await Trainer.open(graph, { weights: ['W'], inputs: labels, loss, threads: 1 });
    own.weights.get('W')?.fill(3);
    expect(Array.from(floatsOf(graph.constants.get('W') as never))).toEqual([1, -1, 0.5, 2]);
    const trained = own.trained();
    expect(Array.from(floatsOf(trained.constants.get('W') as never))).toEqual([3, 3, 3, 3]);
    expect(trained.constants.get('W')?.dims).toEqual([2, 2]);
    expect(trained.outputs).toEqual(graph.outputs);
    await own.close();
  });

  it('refuses a weight that is no float constant', async () => {
    const loss = (b: Builder) => crossEntropy(b, 'scores', 'labels');
    const open = (name: string, graph = linear()) =>
      Trainer.open(graph, { weights: [name], inputs: labels, loss });
    await expect(open('scores')).rejects.toThrow(GradcamppError);
    await expect(open('V')).rejects.toThrow(
      '"weights" must be names of float32 constants of the graph; received "V".',
    );
    const whole = linear();
    const constants = new Map([...whole.constants, ['W', int64Constant([1, 2, 3, 4], [2, 2])] as const]);
    await expect(open('W', { ...whole, constants })).rejects.toThrow('received "W"');
  });
});

describe('Trainer, a network with batch normalisation and dropout', () => {
  const normalized = () =>
    graphFrom({
      inputs: { x: ['N', 2] },
      outputs: ['scores'],
      nodes: [
        ['BatchNormalization', ['x', 'scale', 'shift', 'mean', 'variance'], ['y'], { training_mode: 1 }],
        ['Dropout', ['y', 'ratio', 'on'], ['d']],
        ['Gemm', ['d', 'W', 'b'], ['scores'], { transB: 1 }],
      ],
      constants: {
        ...Object.fromEntries(linear().constants),
        scale: floatConstant([1, 1], [2]),
        shift: floatConstant([0, 0], [2]),
        mean: floatConstant([0, 0], [2]),
        variance: floatConstant([1, 1], [2]),
        ratio: floatConstant([0], []),
        on: boolConstant([true], []),
      },
    });

  // By hand: momentum 0.9; the columns of x have means 2 and 4, variances (over N) 1 and 4.
  it('keeps running statistics, and is used by them', async () => {
    const graph = normalized();
    const names = weightsOf(graph);
    expect(names).toEqual(['scale', 'shift', 'W', 'b']);
    const loss = (b: NetworkBuilder) => {
      b.fetch('first score', b.op('ReduceMax', ['scores'], { keepdims: 0 }));
      return crossEntropy(b, 'scores', 'labels');
    };
    const trainer = await Trainer.open(graph, { weights: names, inputs: labels, loss, threads: 1 });
    const feeds = { x: tensor([1, 2, 3, 6], [2, 2]), labels: tensor([1, 0, 0, 1], [2, 2]) };
    const { fetched, gradients } = await trainer.step(feeds);
    // x̂ = [[−1, −1], [1, 1]]: scores [0.25, −3], [0.25, 2].
    expect(fetched['first score']).toBeCloseTo(2, 4);
    expect(gradients.get('scale')?.length).toBe(2);
    expect(trainer.state.get('mean')?.[0]).toBeCloseTo(0.2, 6);
    expect(trainer.state.get('mean')?.[1]).toBeCloseTo(0.4, 6);
    expect(trainer.state.get('variance')?.[0]).toBeCloseTo(1, 6);
    expect(trainer.state.get('variance')?.[1]).toBeCloseTo(1.3, 6);
    await trainer.step(feeds);
    expect(trainer.state.get('mean')?.[0]).toBeCloseTo(0.38, 6);
    const used = trainer.trained();
    expect(used.nodes.map(({ outputs }) => outputs.length)).toEqual([1, 1, 1]);
    expect(used.notes).toBeUndefined();
    expect(used.outputs).toEqual(graph.outputs);
    const session = await openSession(used, { threads: 1 });
    const { scores } = await session.run({ x: tensor([0.38, 0.76], [1, 2]) });
    expect((scores.data as Float32Array)[0]).toBeCloseTo(0.25, 5); // x̂ is 0: the bias is left
    await session.close();
    await trainer.close();
  });
});

describe('crossEntropy', () => {
  // By hand: scores [[-0.75, 4], [-1.25, 0]]; d loss / d scores = (softmax(s) - y) / 2.
  it('is the mean over pictures, with the gradient softmax − labels', async () => {
    const loss = (b: Builder) => crossEntropy(b, 'scores', 'labels');
    const trainer = await Trainer.open(linear(), { weights: ['b'], inputs: labels, loss, threads: 1 });
    const feeds = { x: tensor([1, 2, -1, 0.5], [2, 2]), labels: tensor([1, 0, 0.5, 0.5], [2, 2]) };
    const step = await trainer.step(feeds);
    const log = (a: number, b: number) => a - Math.log(Math.exp(a) + Math.exp(b));
    const second = 0.5 * log(-1.25, 0) + 0.5 * log(0, -1.25);
    expect(step.loss).toBeCloseTo(-(log(-0.75, 4) + second) / 2, 6);
    const first = Math.exp(log(-0.75, 4)) - 1 + Math.exp(log(-1.25, 0)) - 0.5;
    expect(step.gradients.get('b')?.[0]).toBeCloseTo(first / 2, 6);
    await trainer.close();
  });
});

describe('Trainer, a convolutional network', () => {
  const names = ['W1', 'b1', 'W2', 'b2', 'W3', 'b3'];
  const feeds = {
    x: tensor(values(9, [3, 2, 10, 10]), [3, 2, 10, 10]),
    labels: tensor([1, 0, 0, 1, 1, 1], [3, 2]),
  };
  const loss = (b: Builder) => binaryCrossEntropy(b, 'scores', 'labels');

  /** The loss in float64 from ONNX Runtime's float32 scores: finite differences need more digits than a float32 loss has. */
  async function lossOf(graph: Graph): Promise<number> {
    const session = await openSession(graph, { threads: 1 });
    const { scores } = await session.run({ x: feeds.x });
    await session.close();
    const each = Array.from(
      scores.data as Float32Array,
      (s, i) => Math.log(1 + Math.exp(s)) - feeds.labels.data[i] * s,
    );
    return each.reduce((sum, value) => sum + value, 0) / each.length;
  }

  it.each(names)('the gradient by %s is the central difference of the loss', async (name) => {
    const trainer = await Trainer.open(convolutional(), { weights: names, inputs: labels, loss, threads: 1 });
    const { gradients } = await trainer.step(feeds);
    const gradient = gradients.get(name) as Float32Array;
    const weight = trainer.weights.get(name) as Float32Array;
    const next = randomNumbers(7);
    const direction = Float32Array.from(weight, () => next() - 0.5);
    const length = Math.hypot(...direction);
    const h = 1e-3;
    const at = async (sign: number) => {
      const original = weight.slice();
      for (let i = 0; i < weight.length; i++) weight[i] += (sign * h * direction[i]) / length;
      const value = await lossOf(trainer.trained());
      weight.set(original);
      return value;
    };
    const difference = ((await at(1)) - (await at(-1))) / (2 * h);
    const product = gradient.reduce((sum, value, i) => sum + (value * direction[i]) / length, 0);
    // The loss carries the rounding of float32 scores, about 1e-7, over a step of 2e-3; kinks may add as much again.
    expect(Math.abs(product)).toBeGreaterThan(1e-3);
    expect(Math.abs(difference - product)).toBeLessThan(3e-4 + 0.01 * Math.abs(product));
    await trainer.close();
  });

  it('learns labels that depend on where nothing but the pictures tell', async () => {
    // Class 0: the first channel is bright somewhere; class 1: the second channel is.
    const next = randomNumbers(11);
    const [x, y]: number[][] = [[], []];
    for (let n = 0; n < 48; n++) {
      const present = [Number(next() < 0.5), Number(next() < 0.5)];
      y.push(...present);
      for (const bright of present) {
        const at = Math.floor(next() * 100);
        for (let i = 0; i < 100; i++) x.push(0.2 * next() + (bright && i === at ? 2 : 0));
      }
    }
    const all = { x: tensor(x, [48, 2, 10, 10]), labels: tensor(y, [48, 2]) };
    const trainer = await Trainer.open(convolutional(), { weights: names, inputs: labels, loss, threads: 1 });
    const adam = new Adam();
    const losses: number[] = [];
    for (let step = 0; step < 250; step++) {
      const { loss: value, gradients } = await trainer.step(all);
      adam.update(trainer.weights, gradients, 0.01);
      losses.push(value);
    }
    expect(losses[0]).toBeGreaterThan(0.5);
    expect(losses.at(-1)).toBeLessThan(0.1);
    await trainer.close();
  });
});
