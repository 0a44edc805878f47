import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { readNpy } from '../../src/image/npy.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { furthest, oracleBounds } from '../methods/oracle.js';

/** Networks exported by PyTorch 2.13, with maps that its autograd computed in float64 (../shared/oracle/README.md). */
const oracle = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const isThere = existsSync(oracle);
const methods = ['grad-cam++', 'grad-cam', 'xgrad-cam', 'hires-cam', 'layer-cam'] as const;

interface OracleCase {
  readonly name: string;
  readonly classes: readonly number[];
  readonly exports: Readonly<Record<string, { readonly layer: string }>>;
}

const cases = isThere
  ? readdirSync(oracle, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => {
        const item = JSON.parse(readFileSync(`${oracle}${name}/case.json`, 'utf8')) as OracleCase;
        return Object.entries(item.exports).map(([file, { layer }]) => ({
          name,
          file,
          layer,
          classes: item.classes,
        }));
      })
  : [];

describe.skipIf(!isThere)('PyTorch exports, explained end to end (needs ../shared/oracle)', () => {
  test.each(cases)('$name $file', async ({ name, file, layer, classes }) => {
    const input = (await readNpy(`${oracle}${name}/input.npy`)) as Tensor;
    const scores = numbers(await readNpy(`${oracle}${name}/scores.npy`));
    await using explainer = await Explainer.open(`${oracle}${name}/${file}.onnx`, {
      layer,
      backend: 'reference',
    });
    const explanations = await explainer.explain(input, { targets: classes, method: methods, batchSize: 2 });
    const count = explanations[0].scores.length;
    explanations.forEach((explanation, n) =>
      explanation.scores.forEach((score, m) => expect(score).toBeCloseTo(scores[n * count + m], 3)),
    );
    for (const [i, method] of methods.entries()) {
      const expected = numbers(await readNpy(`${oracle}${name}/${method}.map.npy`));
      const size = sizeOf(explanations[0].targets[0].map.dims);
      explanations.forEach(({ targets }, n) =>
        classes.forEach((_, c) => {
          const { map, raw } = targets[c * methods.length + i];
          const bound = oracleBounds[`${name} ${method}`] ?? 1e-4;
          if (bound === Number.POSITIVE_INFINITY) expect(Math.max(...(raw?.data ?? []))).toBeLessThan(1e-5);
          const at = (n * classes.length + c) * size;
          expect(furthest(map.data, expected.subarray(at, at + size))).toBeLessThan(bound);
        }),
      );
    }
  });
});

function numbers({ data }: Tensor): Float64Array {
  return Float64Array.from(data as Float32Array);
}
