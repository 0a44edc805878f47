import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Name } from '../../src/graph/builder.js';
import type { Graph } from '../../src/graph/graph.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import * as losses from '../../src/train/losses/index.js';
import type { Normalization } from '../../src/train/maps.js';
import type { NetworkBuilder } from '../../src/train/network-builder.js';
import { Sgd } from '../../src/train/optimizers/sgd.js';
import { buildStudent } from '../../src/train/students/index.js';
import { Trainer } from '../../src/train/trainer.js';
import { decayingWeights, forUse, weightsOf } from '../../src/train/training-form.js';

/** By weight: the largest magnitude, the sum, and five values at equal distances. */
type Gradients = Readonly<Record<string, readonly number[]>>;
interface Expected {
  readonly loss: number;
  readonly gradients: Gradients;
}
interface Case extends Expected {
  readonly layer: string;
  readonly normalization: Normalization;
  readonly method: string;
  readonly batchStatistics: boolean;
}

/** By PyTorch's autograd in float64: vectors/second-order.py says how. */
const frozen = JSON.parse(readFileSync(new URL('vectors/second-order.json', import.meta.url), 'utf8')) as {
  cases: Case[];
  every: Expected;
  losses: number[];
  statistics: Record<'mean' | 'variance', number[]>;
};

const [N, classes, size] = [4, 5, 16];
const sides: Readonly<Record<string, number>> = {
  'stage1.0/relu': 16,
  'stage2.0/relu': 8,
  'stage3.0/relu': 4,
};

function numbers(name: string, length: number, scale = 1, shift = 0): Float32Array {
  let state = (crc32(name) | 1) >>> 0;
  return Float32Array.from({ length }, () => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return ((state / 2 ** 32) * 2 - 1) * scale + shift;
  });
}

/** The scale and shift of a weight's numbers, as in the script. */
function rangeOf(name: string, dims: readonly number[]): [number, number] {
  if (name.endsWith('norm.weight')) return [0.5, 1];
  if (name.endsWith('norm.mean')) return [0.1, 0];
  if (name.endsWith('norm.variance')) return [0.5, 1];
  if (name === 'classifier.weight') return [0.35, 0];
  return name.endsWith('bias') ? [0.2, 0] : [Math.sqrt(2 / sizeOf(dims.slice(1))), 0];
}

function network(batchStatistics: boolean): Graph {
  const student = buildStudent('resnet-8', { classes, size: [size, size], width: 0.25 });
  const constants = new Map(
    [...student.constants].map(([name, { dims }]) => [
      name,
      floatConstant(numbers(name, sizeOf(dims), ...rangeOf(name, dims)), dims),
    ]),
  );
  return batchStatistics ? { ...student, constants } : forUse({ ...student, constants });
}

const tensor = (data: Float32Array, dims: readonly number[]): Tensor => ({ type: 'float32', dims, data });
const labels = new Float32Array(N * classes);
for (const [n, label] of [0, 2, 3, 1].entries()) labels[n * classes + label] = 1;

const feeds = (layer: string): Record<string, Tensor> => {
  const map = [N, 1, sides[layer], sides[layer]];
  return {
    image: tensor(numbers('image', N * 3 * size * size, 1.5), [N, 3, size, size]),
    labels: tensor(labels, [N, classes]),
    teacher: tensor(numbers(`teacher map of ${layer}`, sizeOf(map), 0.5, 0.5), map),
    allowed: tensor(
      numbers(`allowed in ${layer}`, sizeOf(map)).map((value) => Number(value > 0)),
      map,
    ),
    'teacher scores': tensor(numbers('teacher scores', N * classes, 3), [N, classes]),
  };
};

async function open(graph: Graph, layer: string, loss: (b: NetworkBuilder) => Name): Promise<Trainer> {
  const inputs = Object.entries(feeds(layer)).filter(([name]) => name !== 'image');
  return Trainer.open(graph, {
    weights: weightsOf(graph),
    inputs: inputs.map(([name, { dims }]) => ({ name, type: DataType.FLOAT, dims: ['N', ...dims.slice(1)] })),
    loss,
    threads: 1,
  });
}

/** The largest difference from a frozen gradient, in shares of the largest value of that weight's gradient. */
function worstOf(gradients: ReadonlyMap<string, Float32Array>, expected: Gradients): number {
  let worst = 0;
  expect([...gradients.keys()].sort()).toEqual(Object.keys(expected).sort());
  const whole = Math.max(...Object.values(expected).map(([largest]) => largest));
  for (const [name, [largest, sum, ...values]] of Object.entries(expected)) {
    const own = gradients.get(name) as Float32Array;
    const at = (k: number) => own[Math.floor((k * (own.length - 1)) / 4)];
    const scale = Math.max(largest, whole / 100); // where what a weight gets cancels, or is zero
    const ownSum = own.reduce((total, value) => total + value, 0);
    const ownLargest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const differences = [
      ...values.map((value, k) => at(k) - value),
      ownLargest - largest,
      (ownSum - sum) / Math.sqrt(own.length),
    ];
    for (const difference of differences) {
      const share = Math.abs(difference) / scale;
      if (!(share <= worst)) worst = share;
    }
  }
  return worst;
}

const common = { scores: 'scores', labels: 'labels', teacher: 'teacher' };

describe('gradients of losses that read gradients, within 5e-6 of the largest of PyTorch in float64', () => {
  test('all are there', () => expect(frozen.cases.length).toBe(3 * 4 * 2 * 2));

  test.each(frozen.cases)(
    '$method of $layer, $normalization, batch statistics $batchStatistics',
    async ({ layer, normalization, method, batchStatistics, loss, gradients }) => {
      const trainer = await open(network(batchStatistics), layer, (b) =>
        losses.explanationLoss(b, { ...common, layer, method, normalization }),
      );
      const step = await trainer.step(feeds(layer));
      await trainer.close();
      expect(Math.abs(step.loss / loss - 1)).toBeLessThan(2e-6);
      const worst = worstOf(step.gradients, gradients);
      expect(worst).toBeLessThan(5e-6);
    },
  );

  test('every loss together', async () => {
    const layer = 'stage2.0/relu';
    const trainer = await open(network(true), layer, (b) => {
      const value = (name: Name, weight?: number) => ({ value: name, weight });
      return losses.sumOfTerms(b, {
        smooth: value(losses.crossEntropy(b, 'scores', 'labels', { smoothing: 0.1 })),
        kd: value(losses.distillation(b, 'scores', 'teacher scores', 4), 0.5),
        attention: value(losses.attentionTransfer(b, layer, 'teacher'), 0.25),
        cosine: value(losses.explanationLoss(b, { ...common, layer, form: 'cosine' }), 0.75),
        reasons: value(losses.rightReasons(b, { ...common, layer, allowed: 'allowed' }), 1.5),
        binary: value(losses.binaryCrossEntropy(b, 'scores', 'labels'), 0.3),
      });
    });
    const step = await trainer.step(feeds(layer));
    await trainer.close();
    expect(Math.abs(step.loss / frozen.every.loss - 1)).toBeLessThan(1e-6);
    expect(worstOf(step.gradients, frozen.every.gradients)).toBeLessThan(5e-6);
    expect(Object.keys(step.fetched)).toEqual(
      expect.arrayContaining(['smooth', 'kd', 'attention', 'cosine', 'reasons', 'binary', 'zero maps']),
    );
  });

  test('ten steps of Nesterov’s momentum, and the running statistics of the first', async () => {
    const layer = 'stage3.0/relu';
    const graph = network(true);
    const trainer = await open(graph, layer, (b) =>
      losses.sumOfTerms(b, {
        ce: { value: losses.crossEntropy(b, 'scores', 'labels') },
        map: { value: losses.explanationLoss(b, { ...common, layer }), weight: 2 },
      }),
    );
    const decayed = decayingWeights(graph, weightsOf(graph));
    const optimizer = new Sgd({ momentum: 0.9, nesterov: true, weightDecay: 5e-4, decayed });
    for (const [i, expected] of frozen.losses.entries()) {
      const { loss, gradients } = await trainer.step(feeds(layer));
      expect(Math.abs(loss - expected)).toBeLessThan(1e-6);
      optimizer.update(trainer.weights, gradients, 0.05);
      if (i > 0) continue;
      for (const [what, values] of Object.entries(frozen.statistics))
        for (const [c, value] of values.entries())
          expect(trainer.state.get(`stem/norm.${what}`)?.[c]).toBeCloseTo(value, 5);
    }
    await trainer.close();
  });
});
