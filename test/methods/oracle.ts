import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { Explanation } from '../../src/explain/explanation.js';
import type { Variant } from '../../src/explain/explain-options.js';
import { readNpy } from '../../src/image/npy.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';

/** Small networks by PyTorch's two exporters, with maps computed in float64 (../shared/oracle/README.md). */
const folder = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const networks = ['vgg_bn', 'mobilenet_v2', 'densenet', 'c3d_fc', 'conv1d', 'gru_head'] as const;
const isThere = existsSync(folder);

/** One export of one network. */
export interface OracleCase {
  readonly name: string;
  readonly file: string;
  readonly path: string;
  readonly layer: string;
  readonly classes: readonly number[];
  /** What the further methods were computed with. */
  readonly methods: Readonly<
    Record<'samples' | 'sigma' | 'steps' | 'riseCells' | 'riseMasks' | 'riseProbability' | 'femK', number>
  >;
  /** An array of the network's folder. */
  array(name: string): Promise<Tensor<'float32'>>;
}

/** Every export of every network; none where the folder is missing. */
export const oracleCases: readonly OracleCase[] = !isThere
  ? []
  : networks.flatMap((name) => {
      const item = JSON.parse(readFileSync(`${folder}${name}/case.json`, 'utf8'));
      const exports = Object.entries(item.exports as Record<string, { layer: string }>);
      return exports.map(([file, { layer }]) => ({
        name,
        file,
        path: `${folder}${name}/${file}.onnx`,
        layer,
        classes: item.classes,
        methods: item.methods,
        array: async (array: string) => (await readNpy(`${folder}${name}/${array}.npy`)) as Tensor<'float32'>,
      }));
    });

export interface OracleOptions {
  /** The method with the oracle's parameters. */
  readonly variant: (item: OracleCase) => Variant;
  /** The array with the expected maps; default: `<method>.map`. */
  readonly expected?: string;
  /** Done before each case. */
  readonly before?: (item: OracleCase) => Promise<void>;
  /** More to look at. */
  readonly also?: (item: OracleCase, explanations: readonly Explanation[]) => Promise<void> | void;
}

/** Explains both pictures of every network and export together, and holds the maps to 1e-4. */
export function holdsOracle(method: string, { variant, expected, before, also }: OracleOptions): void {
  describe.skipIf(!isThere)(`${method} of PyTorch exports (needs ../shared/oracle)`, () => {
    test.each(oracleCases)('$name $file', async (item) => {
      await before?.(item);
      const explanations = await explainedCase(item, variant(item));
      const maps = (await item.array(expected ?? `${method}.map`)).data;
      for (const [n, { targets }] of explanations.entries())
        for (const [c, { map }] of targets.entries()) {
          const size = sizeOf(map.dims);
          const at = (n * item.classes.length + c) * size;
          expect(furthest(map.data, maps.subarray(at, at + size))).toBeLessThan(1e-4);
        }
      expect(explanations).toHaveLength(2);
      await also?.(item, explanations);
    });
  });
}

async function explainedCase({ path, layer, classes, array }: OracleCase, variant: Variant) {
  await using explainer = await Explainer.open(path, {
    layer,
    backend: 'reference',
    threads: 1,
  });
  const settings = { targets: classes, method: [variant], batchSize: 2 };
  return explainer.explain(await array('input'), settings);
}

/** The largest distance; NaN counts as infinitely far. */
export function furthest(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let most = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < actual.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    if (!(distance <= most)) most = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
  }
  return most;
}

/**
 * Where float32 activations cannot give 1e-4, whoever computes: the layer of `convnext` feeds a layer
 * normalisation, which no scaling of a position's channels changes, so Σ_k g_k A_k (HiResCAM) is exactly zero and
 * any map of it is rounding; and its channels sum to nearly nothing, which XGrad-CAM divides by.
 */
export const oracleBounds: Readonly<Record<string, number>> = {
  'convnext hires-cam': Number.POSITIVE_INFINITY,
  'convnext xgrad-cam': 3e-3,
};
