import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { exportable } from '../../src/export/export-options.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import type { Method } from '../../src/explain/explain-options.js';
import { openSession } from '../../src/runtime/session.js';
import { furthest, oracleCases } from '../methods/oracle.js';

/** Of exports of two exporters, one each. */
const cases = oracleCases.filter(
  ({ file }) => file.startsWith('torchscript-17') || file.startsWith('dynamo-18'),
);

describe.skipIf(cases.length === 0)('exports of PyTorch networks (needs ../shared/oracle)', () => {
  test.each(cases)('$name $file: every method that is a graph', async ({ path, layer, classes, array }) => {
    const input = await array('input');
    for (const method of exportable as Method[]) {
      await using explainer = await Explainer.open(path, { layer, backend: 'reference', threads: 1 });
      const explained = explainer.explain(input, { targets: classes, method, batchSize: 2 });
      const file = exportExplained(path, { layer, method, targets: classes });
      const reason = await explained.then(() => undefined).catch((error: Error) => error.message);
      if (reason !== undefined) {
        await expect(file).rejects.toThrow(reason);
        continue;
      }
      const { graph } = await file;
      const session = await openSession(graph);
      const name = graph.inputs[0].name;
      const { explanation_maps: maps } = await session.run({ [name]: input });
      await session.close();
      const expected = (await explained).flatMap(({ targets }) =>
        targets.flatMap(({ map }) => [...map.data]),
      );
      expect(furthest(maps.data as Float32Array, expected), method).toBeLessThan(1e-4);
    }
  });
});
