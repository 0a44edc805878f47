import { expect, test } from 'vitest';
import type { Name } from '../../src/graph/builder.js';
import { DataType } from '../../src/onnx/types.js';
import type { Tensor } from '../../src/tensor.js';
import { explanationLoss } from '../../src/train/losses/index.js';
import type { NetworkBuilder } from '../../src/train/network-builder.js';
import { buildStudent } from '../../src/train/students/index.js';
import { Trainer } from '../../src/train/trainer.js';
import { weightsOf } from '../../src/train/training-form.js';
import { randomNumbers } from '../map/random.js';

const [N, P, M, side] = [3, 3, 4, 4];
const layer = 'stage3.0/relu';
const next = randomNumbers(5);
const tensor = (dims: readonly number[], of: (i: number) => number): Tensor & { data: Float32Array } => ({
  type: 'float32',
  dims,
  data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => of(i)),
});
/** The classes of each picture, in rows. */
const classes = [[0, 2, 3], [1], []];
const rows = tensor([N, P, M], (i) =>
  Number(classes[Math.floor(i / (P * M))][Math.floor(i / M) % P] === i % M),
);
const maps = tensor([N, P, side, side], () => next());
const image = tensor([N, 3, 16, 16], () => 2 * next() - 1);

/** One of the rows of an array of [N, P, …]. */
function row(all: Tensor & { data: Float32Array }, p: number, dims: readonly number[]): Tensor {
  const length = all.data.length / (N * P);
  return tensor(dims, (i) => all.data[(Math.floor(i / length) * P + p) * length + (i % length)]);
}

async function step(loss: (b: NetworkBuilder) => Name, feeds: Record<string, Tensor>) {
  const graph = buildStudent('resnet-8', { classes: M, size: [16, 16], width: 0.25, seed: 3 });
  const inputs = Object.entries(feeds).map(([name, { dims }]) => ({
    name,
    type: DataType.FLOAT,
    dims: ['N', ...dims.slice(1)],
  }));
  const trainer = await Trainer.open(graph, { weights: weightsOf(graph), inputs, loss, threads: 1 });
  const made = await trainer.step({ image, ...feeds });
  await trainer.close();
  return made;
}

test.each(['squared', 'cosine'] as const)(
  'maps of several classes, %s: the loss and its gradients are the sums of those of each, and rows of zeros add nothing',
  async (form) => {
    const common = { scores: 'scores', layer, teacher: 'teacher', labels: 'labels', form };
    const loss = (b: NetworkBuilder) => explanationLoss(b, common);
    const together = await step(loss, { labels: rows, teacher: maps });
    const each = await Promise.all(
      Array.from({ length: P }, (_, p) =>
        step(loss, {
          labels: row(rows, p, [N, M]),
          teacher: row(maps, p, [N, 1, side, side]),
        }),
      ),
    );
    const sum = (of: (own: (typeof each)[number]) => number) => each.reduce((all, own) => all + of(own), 0);
    expect(together.loss).toBeCloseTo(
      sum((own) => own.loss),
      5,
    );
    for (const [name, gradient] of together.gradients) {
      const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(Number.isFinite(largest)).toBe(true);
      for (const [i, value] of gradient.entries()) {
        const expected = sum((own) => own.gradients.get(name)?.[i] as number);
        expect(Math.abs(value - expected)).toBeLessThan(1e-5 * Math.max(largest, 1e-2));
      }
    }
    expect(together.fetched['zero maps']).toBe(0);
  },
);
