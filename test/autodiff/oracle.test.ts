import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { findScores } from '../../src/graph/scores.js';
import { readNpy } from '../../src/image/npy.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { gradientsOf, readGraph, seedOf } from './network.js';

/** Networks exported by PyTorch 2.13; gradients by its autograd in float64 (../shared/oracle/README.md). */
const oracle = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const isThere = existsSync(oracle);

interface OracleCase {
  readonly classes: readonly number[];
  readonly exports: Readonly<Record<string, { readonly layer: string }>>;
}

const cases = isThere
  ? readdirSync(oracle, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => {
        const item = JSON.parse(readFileSync(`${oracle}${name}/case.json`, 'utf8')) as OracleCase;
        return Object.entries(item.exports).map(([file, { layer }]) => ({ name, file, layer, ...item }));
      })
  : [];

describe.skipIf(!isThere)('PyTorch exports (needs ../shared/oracle)', () => {
  test('all are there', () => expect(cases.length).toBeGreaterThanOrEqual(40));

  test.each(cases)(
    '$name $file: gradients within 1e-4 of the largest',
    async ({ name, file, layer, classes }) => {
      const input = (await readNpy(`${oracle}${name}/input.npy`)) as Tensor;
      const data = Float32Array.from(input.data as Float32Array);
      const expected = await readNpy(`${oracle}${name}/gradients.npy`);
      const scores = await readNpy(`${oracle}${name}/scores.npy`);
      const graph = await readGraph(`${oracle}${name}/${file}.onnx`);
      const results = await gradientsOf(graph, {
        scores: findScores(graph).info.name,
        wrt: [layer],
        input: { type: 'float32', dims: input.dims, data },
        seeds: classes.map((classIndex) => seedOf(classIndex, scores.dims)),
      });
      const [images] = input.dims;
      const each = sizeOf(expected.dims.slice(2));
      let [largest, error] = [0, 0];
      results.forEach((result, c) => {
        const gradient = result[`gradient/${layer}`];
        expect(gradient.data.length).toBe(images * each);
        for (let i = 0; i < images * each; i++) {
          const place = (Math.floor(i / each) * classes.length + c) * each + (i % each);
          const wanted = Number(expected.data[place]);
          largest = Math.max(largest, Math.abs(wanted));
          const difference = Math.abs(Number(gradient.data[i]) - wanted);
          if (!(difference <= error)) error = difference;
        }
      });
      expect(largest).toBeGreaterThan(0);
      expect(error / largest).toBeLessThanOrEqual(1e-4);
    },
  );
});
