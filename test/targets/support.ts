import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { Feeds } from '../../src/explain/feeds.js';
import type { NetworkExplainer } from '../../src/explain/network-explainer.js';
import { rowsOf } from '../../src/explain/rows.js';
import { readNpy } from '../../src/image/npy.js';
import { goalsOf, outputOf, readsOf, type Target } from '../../src/targets/index.js';
import type { Facts, Goal, NetworkFacts, Row } from '../../src/targets/target.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';

/** What a target may know, where a test does not say otherwise. */
export function facts(own: Partial<Facts> = {}): Facts {
  const output = (name: string): Row => {
    throw new Error(`The target does not say that it reads "${name}".`);
  };
  return { classes: undefined, link: 'softmax', size: [8, 8], channelsLast: false, output, ...own };
}

/** What is known of a network with one output. */
export function networkFacts(
  dims: readonly (number | string)[],
  own: Partial<NetworkFacts> = {},
): NetworkFacts {
  const output = {
    name: 'output',
    value: 'output',
    dims,
    link: 'softmax',
    isStepped: false,
    isEmbedding: false,
  } as const;
  return {
    output,
    outputs: [own.output ?? output],
    isChosen: false,
    size: [32, 32],
    channelsLast: false,
    classes: undefined,
    metadata: new Map(),
    ...own,
  };
}

/** Seeded values, about −spread … spread. */
export function randomRow(seed: number, dims: readonly number[], spread = 2): Row {
  const next = randomNumbers(seed);
  return { data: Float32Array.from({ length: sizeOf(dims) }, () => spread * (2 * next() - 1)), dims };
}

/**
 * Holds a goal's seed against central differences of its value at random rows: the slope along a few random directions, and along
 * each of some single values. Rows are float32, so the step is a power of two that changes no digit of a row of round numbers.
 */
export function seedIsDerivative(
  find: (row: Row) => readonly Goal[],
  dims: readonly number[],
  spread = 2,
): void {
  const h = 2 ** -7;
  for (let seed = 1; seed <= 8; seed++) {
    const next = randomNumbers(1000 + seed);
    const row = randomRow(seed, dims, spread);
    for (let i = 0; i < row.data.length; i++) row.data[i] = Math.round(row.data[i] * 1024) / 1024;
    const goals = find(row);
    expect(goals.length).toBeGreaterThan(0);
    for (const goal of goals) {
      const slopes = goal.seed(row);
      expect(slopes).toHaveLength(row.data.length);
      const scale = Math.max(...slopes.map(Math.abs), 1e-6);
      const touched = [...slopes.keys()].filter((i) => slopes[i] !== 0);
      const single = Array.from({ length: 6 }, () => Math.floor(next() * row.data.length));
      for (const i of [...touched.slice(0, 6), ...single]) {
        const at = (step: number) => goal.value({ ...row, data: row.data.with(i, row.data[i] + step) });
        const slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
        expect(Math.abs(slope - slopes[i]) / scale).toBeLessThan(1e-4);
      }
    }
  }
}

const oracle = fileURLToPath(new URL('../../../shared/oracle-targets/', import.meta.url));

/** A network of ../shared/oracle-targets: what is explained of each of its two pictures, in the order of the oracle's targets. */
export interface OracleCase {
  readonly name: string;
  readonly layer: string;
  readonly targets: readonly (readonly Target[])[];
  readonly inputs?: Readonly<Record<string, string>>;
}

const methods = ['grad-cam++', 'grad-cam', 'layer-cam'] as const;

/** Values, gradients and maps as PyTorch's autograd gives them in float64. */
export function holdsAgainstOracle(made: (path: string) => OracleCase): void {
  const isThere = existsSync(oracle);
  const item = made(oracle);
  const folder = `${oracle}${item.name}/`;
  describe.skipIf(!isThere)(`the network "${item.name}" of PyTorch (needs ../shared/oracle-targets)`, () => {
    const open = () => {
      const inputs =
        item.inputs && Object.fromEntries(Object.entries(item.inputs).map(([k, v]) => [k, folder + v]));
      return Explainer.open(`${folder}model.onnx`, {
        layer: item.layer,
        backend: 'reference',
        ...(inputs ? { inputs } : {}),
      });
    };
    test('values and maps', async () => {
      await using explainer = await open();
      const input = (await readNpy(`${folder}input.npy`)) as Tensor;
      const explained = await explainer.explain(input, {
        targetsPerImage: item.targets,
        method: methods,
        batchSize: 2,
      });
      const values = await numbers(`${folder}values.npy`);
      const count = item.targets[0].length;
      for (const [m, method] of methods.entries()) {
        const maps = await numbers(`${folder}${method}.map.npy`);
        for (const [n, { targets }] of explained.entries()) {
          expect(targets).toHaveLength(count * methods.length);
          for (let t = 0; t < count; t++) {
            const { target, map } = targets[t * methods.length + m];
            const value = values[n * count + t];
            expect(Math.abs(target.score - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
            const size = map.data.length;
            const at = (n * count + t) * size;
            expect(furthest(map.data, maps.subarray(at, at + size))).toBeLessThan(1e-4);
          }
        }
      }
    });

    test('gradients', async () => {
      await using explainer = await open();
      const expected = await numbers(`${folder}gradients.npy`);
      const input = (await readNpy(`${folder}input.npy`)) as Tensor<'float32'>;
      const size = expected.length / 2 / item.targets[0].length;
      for (const [n, targets] of item.targets.entries())
        for (const [t, target] of targets.entries()) {
          const gradient = await gradientOf(explainer, input, { n, target });
          const at = (n * targets.length + t) * size;
          const own = expected.subarray(at, at + size);
          const most = own.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
          expect(furthest(gradient, own)).toBeLessThanOrEqual(1e-5 * most);
        }
    });
  });
}

/** The gradient of a target of the n-th of two pictures at the layer. */
export async function gradientOf(
  explainer: NetworkExplainer,
  input: Tensor<'float32'>,
  { n, target, feeds }: { readonly n: number; readonly target: Target; readonly feeds?: Feeds },
): Promise<Float32Array> {
  const { targets } = explainer;
  const [ready] = await targets.ready([target]);
  const scores = targets.scoresOf(outputOf(ready));
  const passes = await explainer.network.differentiator(explainer.explained, scores, {
    reads: readsOf([ready]),
  });
  const forward = await passes.forward({
    ...(feeds ?? explainer.feeds).of(0, 2, 2, 2),
    [explainer.network.image.name]: input,
  });
  const rows = rowsOf(forward.scores, 2);
  const own = facts({
    link: scores.link,
    classes: explainer.classes,
    size: input.dims.slice(2),
    output: (name) => rowsOf(forward.results[name], 2)[n],
  });
  const [{ goal }] = goalsOf([ready], rows[n], own);
  const seed = new Float32Array(forward.scores.data.length);
  seed.set(goal.seed(rows[n]), n * rows[n].data.length);
  const [gradient] = await passes.backward(forward, seed);
  const size = gradient.length / 2;
  const [, channels, ...dims] = forward.dims[0];
  const whole = channels * sizeOf(dims);
  const part = gradient.subarray(n * size, (n + 1) * size);
  return size === whole
    ? part
    : Float32Array.from({ length: whole }, (_, i) => part[Math.floor((i * size) / whole)]);
}

async function numbers(path: string): Promise<Float64Array> {
  return Float64Array.from((await readNpy(path)).data as Float32Array, Number);
}

/** The largest distance; NaN counts as infinitely far. */
export function furthest(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let most = 0;
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < actual.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    if (!(distance <= most)) most = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
  }
  return most;
}
