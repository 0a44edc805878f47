import { expect, test } from 'vitest';
import { appendGradient } from '../../src/autodiff/walk.js';
import { subgraph, valueInfo } from '../../src/graph/graph.js';
import { inferValues } from '../../src/runtime/infer.js';
import { openSession } from '../../src/runtime/session.js';
import { buildCase, flags, real, realTensor } from './case.js';
import { DataType } from '../../src/onnx/types.js';

/** Draws anew at every run, so differences mean nothing: the mask must be that of the same run, y/x. */
test.each([
  { what: 'stored', constant: true },
  { what: 'told when it runs', constant: false },
])('Dropout in training mode ($what) passes dY where it kept, as it kept', async ({ constant }) => {
  const built = buildCase(
    {
      op: 'Dropout',
      name: 'training',
      inputs: [
        real([64, 8], { low: 1, high: 2 }),
        real([], { values: [0.25], constant, wrt: false }),
        flags([1], [], { constant }),
      ],
    },
    18,
    DataType.FLOAT,
  );
  const graph = await inferValues(built.graph);
  const made = appendGradient(graph, { of: [{ output: 'y0', seed: 'seed' }], wrt: ['x0'] });
  const dX = made.gradients.get('x0') as string;
  const whole = subgraph(
    made.graph,
    [...graph.inputs, { ...valueInfo(graph, 'x0'), name: 'seed' }],
    [valueInfo(graph, 'y0'), { ...valueInfo(graph, 'x0'), name: dX }],
  );
  const session = await openSession(whole, { threads: 1 });
  const seed = realTensor(
    Array.from({ length: 512 }, (_, i) => (i % 7) - 3),
    [64, 8],
    DataType.FLOAT,
  );
  const results = await session.run({ ...built.feeds, seed });
  await session.close();
  const [x, y, gradient] = [built.feeds.x0, results.y0, results[dX]].map(({ data }) => data as Float32Array);
  const kept = y.filter((value) => value !== 0).length;
  // 512 draws of 3/4: 384 ± 10.
  expect(kept).toBeGreaterThan(330);
  expect(kept).toBeLessThan(440);
  gradient.forEach((value, i) => {
    expect(value).toBeCloseTo((Number(seed.data[i]) * y[i]) / x[i], 5);
  });
});
