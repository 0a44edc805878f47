import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { float } from '../../src/graph/attributes.js';
import { readNpy } from '../../src/image/npy.js';
import { linearUpsampler } from '../../src/upsample.js';
import type { Tensor } from '../../src/tensor.js';
import { bytesFrom, classifier, type ShortGraph, type ShortNode, values } from '../support/network.js';
import { transformer } from '../support/transformer.js';

const options = { backend: 'reference', threads: 1 } as const;
const input: Tensor<'float32'> = { type: 'float32', dims: [2, 3, 8, 12], data: values(5, [2, 3, 8, 12]) };
const heads = 2;

type Matrix = number[][];
const identity = (T: number): Matrix =>
  Array.from({ length: T }, (_, i) => Array.from({ length: T }, (__, j) => Number(i === j)));
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
const plus = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((x, j) => x + b[i][j]));
const byRow = (a: Matrix): Matrix => a.map((row) => row.map((x) => x / row.reduce((sum, y) => sum + y, 0)));

/** Attention and its gradient by class 3 of every block, and the maps that follow by the papers' products of matrices. */
async function expectedMaps(graph: ShortGraph, T: number, prefix: number) {
  await using explainer = await Explainer.open(bytesFrom(graph), options);
  const { network, scores } = explainer;
  const names = network.attention(scores).map(({ name }) => ({ name }));
  const passes = await network.differentiator(names, scores);
  const forward = await passes.forward({ [network.image.name]: input });
  const gradients = await passes.backward(
    forward,
    Float32Array.from({ length: 10 }, (_, i) => Number(i % 5 === 3)),
  );
  const mean = (n: number, of: (index: number) => number): Matrix =>
    Array.from({ length: T }, (_, i) =>
      Array.from({ length: T }, (__, j) => {
        let sum = 0;
        for (let h = 0; h < heads; h++) sum += of(((n * heads + h) * T + i) * T + j) / heads;
        return sum;
      }),
    );
  return [0, 1].map((n) => {
    const attention = forward.activations.map((own) => mean(n, (index) => own[index]));
    const weighted = forward.activations.map((own, l) =>
      mean(n, (index) => Math.max(0, own[index] * gradients[l][index])),
    );
    const rollout = attention.reduce((R, A) => times(byRow(plus(A, identity(T))), R), identity(T));
    const chefer = weighted.reduce((R, A) => plus(R, times(A, R)), identity(T));
    return {
      'attention-rollout': patchesOf(rollout, prefix),
      'attention-gradient': patchesOf(chefer, prefix),
    };
  });
}

/** The class token's row, or the mean of all, at the patches. */
function patchesOf(R: Matrix, prefix: number): number[] {
  const row = prefix > 0 ? R[0] : R[0].map((_, j) => R.reduce((sum, own) => sum + own[j] / R.length, 0));
  return row.slice(prefix, prefix + 6);
}

/** Upsampled from 2 × 3 to 8 × 12, in 0…1. */
function normalised(map: readonly number[]): Float64Array {
  const large = linearUpsampler([2, 3], [8, 12])(Float64Array.from(map));
  const [least, most] = [Math.min(...large), Math.max(...large)];
  return large.map((value) => (value - least) / (most - least));
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
}

const methods = ['attention-rollout', 'attention-gradient'] as const;

describe('attention through all blocks', () => {
  test.each([
    { prefix: 1 },
    { prefix: 1, isFused: false, blocks: 3 },
    { prefix: 2, suffix: 3 },
    { prefix: 0 },
  ])('by products of matrices: %o', async (own) => {
    const { prefix, suffix = 0 } = own;
    const graph = transformer(own);
    const expected = await expectedMaps(graph, prefix + 6 + suffix, prefix);
    await using explainer = await Explainer.open(bytesFrom(graph), options);
    const method = [...methods, 'grad-cam'] as const;
    const explained = await explainer.explain(input, { targets: [3, 1], method, batchSize: 2 });
    explained.forEach(({ targets }, n) => {
      for (const [i, name] of methods.entries()) {
        const { map, raw, layers } = targets[i];
        expect(targets[i].method).toBe(name);
        expect(layers).toEqual(Array.from({ length: own.blocks ?? 2 }, (_, l) => `b${l}/attention`));
        expect(raw?.dims).toEqual([2, 3]);
        expect(furthest(map.data, normalised(expected[n][name]))).toBeLessThan(1e-5);
      }
      const [rollout, gradient] = [0, 1].map((i) => [targets[i].map.data, targets[i + 3].map.data]);
      expect(furthest(rollout[0], rollout[1])).toBe(0); // the same for every class
      expect(furthest(gradient[0], gradient[1])).toBeGreaterThan(1e-3);
      expect(targets[2].layers).toEqual(['b' + ((own.blocks ?? 2) - 1) + '/norm1']);
    });
  });

  test('alone, without any layer, one picture after another', async () => {
    await using explainer = await Explainer.open(bytesFrom(transformer()), options);
    const together = await explainer.explain(input, { targets: 3, method: methods, batchSize: 2 });
    for (const [i, method] of methods.entries()) {
      const apart = await explainer.explain(input, { targets: 3, method });
      apart.forEach(({ targets }, n) =>
        expect(furthest(targets[0].map.data, together[n].targets[i].map.data)).toBeLessThan(1e-5),
      );
    }
  });

  test('written as one operator, as newer exports have it', async () => {
    const graph = transformer({ isFused: false });
    const fused = (b: string): ShortNode => [
      'Attention',
      [`${b}/q/flat`, `${b}/k/flat`, `${b}/v/flat`],
      [`${b}/attended`],
      { q_num_heads: heads, kv_num_heads: heads, scale: float(1) },
    ];
    const gone = ['q', 'k', 'v'].flatMap((name) => [`${name}/part`, name]);
    const rest = new Set([...gone, 'keys', 'products', 'attention', 'mixed', 'joined', 'attended']);
    const nodes = graph.nodes.flatMap((node): ShortNode[] => {
      const [, block, name] = /^(b\d)\/(.+)$/.exec(node[2][0]) ?? [];
      if (name === undefined || !rest.has(name)) return [node];
      return name === 'attended' ? [fused(block)] : [];
    });
    const whole = { ...graph, nodes, opset: 23 };
    const explain = async (own: ShortGraph) => {
      await using explainer = await Explainer.open(bytesFrom(own), options);
      const names = explainer.network.attention(explainer.scores).map(({ tokens }) => tokens);
      const explained = await explainer.explain(input, {
        targets: 3,
        method: [...methods, 'layer-cam'],
        batchSize: 2,
      });
      return {
        names,
        layers: explainer.layers,
        maps: explained.flatMap(({ targets }) => targets.map(({ map }) => map.data)),
      };
    };
    const [expected, actual] = [await explain(graph), await explain(whole)];
    expect(actual.names).toEqual(expected.names);
    expect(actual.layers).toEqual(expected.layers);
    actual.maps.forEach((map, i) => expect(furthest(map, expected.maps[i])).toBeLessThan(1e-4));
  });

  test('of a network without it a sentence says so', async () => {
    await using explainer = await Explainer.open(bytesFrom(classifier()), options);
    const image: Tensor<'float32'> = { type: 'float32', dims: [1, 3, 8, 8], data: values(1, [1, 3, 8, 8]) };
    for (const method of methods)
      await expect(explainer.explain(image, { targets: 0, method })).rejects.toThrow(
        'Attention methods follow every token and the model has no attention between tokens',
      );
  });
});

const folder = fileURLToPath(new URL('../../../shared/oracle-tokens/vit_cls/', import.meta.url));

describe.skipIf(!existsSync(folder))('against float64 (needs ../shared/oracle-tokens)', () => {
  test.each(['torchscript-17', 'dynamo-18', 'dynamo-20'])('%s', async (file) => {
    const pictures = (await readNpy(`${folder}input.npy`)) as Tensor<'float32'>;
    await using explainer = await Explainer.open(`${folder}${file}.onnx`, options);
    const explained = await explainer.explain(pictures, { targets: [3, 7], method: methods, batchSize: 2 });
    for (const [i, method] of methods.entries()) {
      const expected = (await readNpy(`${folder}${method}.map.npy`)).data as Float32Array;
      const size = explained[0].targets[0].map.data.length;
      const each = expected.length / size / 2; // one map a picture where it is the same for every class
      explained.forEach(({ targets }, n) =>
        [0, 1].forEach((c) => {
          const at = (n * each + (each > 1 ? c : 0)) * size;
          const { map } = targets[c * methods.length + i];
          expect(furthest(map.data, expected.subarray(at, at + size))).toBeLessThan(1e-4);
        }),
      );
    }
  });
});
