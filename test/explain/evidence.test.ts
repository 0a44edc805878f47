import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { Change, Evidence } from '../../src/methods/common/evidence.js';
import { furthest, oracleCases } from '../methods/oracle.js';
import { withEvidence } from '../methods/with-evidence.js';
import {
  bytesFrom,
  type ClassifierOptions,
  classifier,
  type ShortGraph,
  values,
  weights,
} from '../support/network.js';
import { int64Constant } from '../../src/onnx/constant.js';

const dims = [2, 3, 8, 8];
const images = { type: 'float32', dims, data: values(11, dims) } as const;

/** Changes that put one array in after the other, and where their values go. */
function changesOf(of: number, arrays: readonly Float32Array[]): { changes: Change[]; found: number[] } {
  const found: number[] = [];
  const changes = arrays.map((array) => ({
    of,
    fill: (out: Float32Array) => out.set(array),
    take: (value: number) => void found.push(value),
  }));
  return { changes, found };
}

const networks: Readonly<Record<string, ShortGraph>> = {
  'dense head': classifier(),
  'fixed batch of 2': classifier({ batch: 2 }),
  'fixed batch of 3': classifier({ batch: 3 }),
  'pooled head': classifier({ head: 'pool' }),
  'a path around the layer': around(),
  'a state of zeros, pictures on the second axis': recurrent(),
};

/** relu2 is the layer; relu1, pooled, is added behind it. */
function around(): ShortGraph {
  const whole = classifier();
  return {
    ...whole,
    nodes: [
      ...whole.nodes.slice(0, 4),
      ['Conv', ['relu1', 'w5'], ['skip'], { strides: [2, 2] }],
      ['Add', ['relu2', 'skip'], ['sum']],
      ...whole.nodes
        .slice(4)
        .map((node) => (node[0] === 'MaxPool' ? (['MaxPool', ['sum'], ['pooled'], node[3]] as const) : node)),
    ],
    constants: { ...whole.constants, w5: weights(15, [6, 4, 1, 1]) },
  };
}

/** The layer's columns go through a GRU whose first state has the dims [1, N, 5], made of the picture's shape. */
function recurrent(): ShortGraph {
  const whole = classifier();
  return {
    inputs: whole.inputs,
    outputs: ['logits'],
    nodes: [
      ...whole.nodes.slice(0, 4),
      ['Shape', ['image'], ['shape']],
      ['Gather', ['shape', 'zero'], ['count'], { axis: 0 }],
      ['Concat', ['one', 'count', 'five'], ['stateShape'], { axis: 0 }],
      ['ConstantOfShape', ['stateShape'], ['state']],
      ['Transpose', ['relu1'], ['turned'], { perm: [2, 0, 1, 3] }],
      ['ReduceMean', ['turned', 'last'], ['rows'], { keepdims: 0 }], // [8, N, 4] crosses into the head
      ['Reshape', ['relu2', 'flatShape'], ['flat']],
      ['Transpose', ['flat'], ['columns'], { perm: [1, 0, 2] }],
      ['GRU', ['columns', 'W', 'R', 'B', '', 'state'], ['', 'end'], { hidden_size: 5 }],
      ['Squeeze', ['end', 'zero'], ['last5']],
      ['ReduceMean', ['rows', 'zero'], ['means'], { keepdims: 0 }],
      ['Gemm', ['last5', 'w6'], ['first'], { transB: 1 }],
      ['Gemm', ['means', 'w7'], ['second'], { transB: 1 }],
      ['Add', ['first', 'second'], ['logits']],
    ],
    constants: {
      ...whole.constants,
      zero: int64Constant([0], [1]),
      one: int64Constant([1], [1]),
      five: int64Constant([5], [1]),
      last: int64Constant([3], [1]),
      flatShape: int64Constant([0, 4, 24], [3]),
      W: weights(21, [1, 15, 24]),
      R: weights(22, [1, 15, 5]),
      B: weights(23, [1, 30], 0.3),
      w6: weights(24, [5, 5]),
      w7: weights(25, [5, 4]),
    },
  };
}

describe.each(Object.entries(networks))('%s', (_, network) => {
  const bytes = bytesFrom(network);
  const options = { layer: 'relu2', targets: 2, batchSize: 2 };

  test('the head gives the scores of the whole network, each picture its own, however many go at once', async () => {
    await withEvidence(bytes, images, options, async ({ layer, headPass, values: scores }) => {
      for (const count of [1, 3, 40])
        for (const n of [0, 1]) {
          const own = layer.activations.subarray(n * 96, (n + 1) * 96);
          const { changes, found } = changesOf(
            n,
            Array.from({ length: count }, () => own),
          );
          await headPass(changes);
          expect(found).toHaveLength(count);
          expect(
            furthest(
              found,
              found.map(() => scores[n]),
            ),
          ).toBeLessThan(2e-6);
        }
    });
  });

  test('passes give the scores of changed pictures, in order', async () => {
    const others = [31, 32, 33, 34, 35, 36, 37, 38, 39].map((seed) => values(seed, [3, 8, 8]));
    await using explainer = await Explainer.open(bytes);
    const expected: number[] = [];
    for (const data of others) {
      const [{ scores }] = await explainer.predict({ type: 'float32', dims: [3, 8, 8], data });
      expected.push(scores[2]);
    }
    await withEvidence(bytes, images, options, async ({ pass }) => {
      const { changes, found } = changesOf(1, others);
      await pass(changes);
      expect(furthest(found, expected)).toBeLessThan(2e-6);
    });
  });

  test('gradients of changed pictures are those of these pictures', async () => {
    const data = values(41, dims);
    await using explainer = await Explainer.open(bytes);
    await withEvidence(bytes, images, options, async ({ inputGradients, images: N }) => {
      const changed = new Float32Array((data.length / 2) * N);
      changed.set(data);
      const slopes = await inputGradients(changed);
      expect(slopes).toHaveLength(changed.length);
      // Central differences along the gradient itself.
      const step = 1e-3;
      for (const n of [0, 1]) {
        const own = slopes.subarray(n * 192, (n + 1) * 192);
        const length = Math.hypot(...own);
        const at = async (sign: number) => {
          const moved = data
            .slice(n * 192, (n + 1) * 192)
            .map((value, i) => value + (sign * step * own[i]) / length);
          return (await explainer.predict({ type: 'float32', dims: [3, 8, 8], data: moved }))[0].scores[2];
        };
        expect(((await at(1)) - (await at(-1))) / (2 * step) / length).toBeCloseTo(1, 2);
      }
    });
  });
});

test.each([
  ['pool', true],
  ['dense', false],
] as const)('a constant gradient, where the head is affine: %s', async (head, isConstant) => {
  const bytes = bytesFrom(classifier({ head }));
  for (const targets of [1, { scores: Float32Array.of(1, 0, 0, -2, 0) }])
    await withEvidence(bytes, images, { layer: 'relu2', targets, batchSize: 2 }, async (evidence) => {
      const slopes = await evidence.constantGradient();
      expect(slopes !== undefined).toBe(isConstant);
      if (!slopes) return;
      const { layer, headPass } = evidence;
      const [a, b] = [values(51, [6, 4, 4]), layer.activations.slice(0, 96)];
      const { changes, found } = changesOf(0, [a, b]);
      await headPass(changes);
      const product = a.reduce((sum, value, i) => sum + slopes[i] * (value - b[i]), 0);
      expect(found[0] - found[1]).toBeCloseTo(product, 5);
    });
});

test.each([{}, { tail: 'softmax' }, { tail: 'sigmoid' }, { head: 'pool' }] as ClassifierOptions[])(
  'second derivatives are differences of first ones: %o',
  async (options) => {
    const bytes = bytesFrom(classifier(options));
    await withEvidence(bytes, images, { layer: 'relu2', targets: [2], batchSize: 2 }, async (evidence) => {
      const { layer, secondDerivatives } = evidence;
      const { gradients, product } = await secondDerivatives();
      const logProbability = (row: readonly number[]) =>
        options.tail === 'sigmoid'
          ? -Math.log1p(Math.exp(-row[2]))
          : row[2] - Math.log(row.reduce((sum, score) => sum + Math.exp(score), 0));
      // Along A itself T(A + h A) has the derivatives ⟨g, A⟩ and ⟨H A, A⟩ at h = 0.
      const scaled = async (h: number, n: number) => {
        const own = layer.activations.slice(n * 96, (n + 1) * 96).map((value) => value * (1 + h));
        return logProbability(await rowOf(bytes, own));
      };
      let most = 0;
      for (const n of [0, 1]) {
        const A = layer.activations.subarray(n * 96, (n + 1) * 96);
        const along = (d: Float32Array) => A.reduce((sum, value, i) => sum + value * d[n * 96 + i], 0);
        const h = 0.03;
        const [less, here, more] = [await scaled(-h, n), await scaled(0, n), await scaled(h, n)];
        expect(along(gradients)).toBeCloseTo((more - less) / (2 * h), 3);
        expect(along(product)).toBeCloseTo((more - 2 * here + less) / h ** 2, 3);
        most = Math.max(most, Math.abs(along(product)));
      }
      expect(most).toBeGreaterThan(0.005);
    });
  },
);

/** The scores that some activations of relu2 lead to, in float64. */
async function rowOf(bytes: Uint8Array, activations: Float32Array): Promise<number[]> {
  const row: number[] = [];
  for (const target of [0, 1, 2, 3, 4])
    await withEvidence(
      bytes,
      images,
      { layer: 'relu2', targets: [target], batchSize: 2 },
      async ({ headPass }) => {
        const { changes, found } = changesOf(0, [activations]);
        await headPass(changes);
        row.push(found[0]);
      },
    );
  return row;
}

describe.skipIf(oracleCases.length === 0)(
  'Hessian–vector products of PyTorch exports (needs ../shared/oracle)',
  () => {
    test.each(oracleCases)('$name $file', async ({ path, layer, classes, array }) => {
      const expected = (await array('shapley.hvp')).data;
      const check = async ({ secondDerivatives, layer: { channels } }: Evidence) => {
        const { product } = await secondDerivatives();
        const most = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        expect(channels).toBeGreaterThan(1);
        expect(furthest(product, expected) / most).toBeLessThan(1e-4);
      };
      await withEvidence(path, await array('input'), { layer, targets: classes, batchSize: 2 }, check);
    });
  },
);
