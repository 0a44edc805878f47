import { expect, test } from 'vitest';
import { globalMaxPoolByPlace, maxPoolByTaps } from '../../src/autodiff/rules/pool-by-taps.js';
import type { Plain } from '../../src/graph/attributes.js';
import { valueInfo } from '../../src/graph/graph.js';
import { inferValues } from '../../src/runtime/infer.js';
import { sizeOf } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';
import { graphFrom } from '../support/network.js';
import { gradientsOf } from './network.js';

/** Windows that lie apart, side by side and over one another; padded, dilated, beyond the edge, uneven. */
const windows: readonly Record<string, Plain>[] = [
  { kernel_shape: [2, 2], strides: [2, 2] },
  { kernel_shape: [3, 3], strides: [2, 2] },
  { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
  { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] },
  { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
  { kernel_shape: [3, 2], strides: [3, 1], pads: [0, 1, 2, 0] },
  { kernel_shape: [2, 3], strides: [2, 3], dilations: [2, 1] },
  { kernel_shape: [2, 2], strides: [3, 3] },
  { kernel_shape: [1, 1], strides: [2, 2] },
  { kernel_shape: [3], strides: [2], pads: [1, 1] },
  { kernel_shape: [2], strides: [3] },
  { kernel_shape: [2, 2, 2], strides: [2, 2, 2] },
  { kernel_shape: [1, 3, 3], strides: [1, 2, 2], pads: [0, 1, 1, 0, 1, 1] },
  { kernel_shape: [3, 3, 3], strides: [2, 2, 2], pads: [1, 1, 1, 1, 1, 1] },
  { kernel_shape: [3, 2, 2], strides: [1, 2, 2], pads: [1, 0, 0, 0, 0, 0], ceil_mode: 1 },
  { kernel_shape: [2, 1, 2], strides: [3, 1, 2], dilations: [2, 1, 1] },
];

test.each(windows)(
  'max-pooling %o has the gradient that its indices give, ties among it',
  async (attributes) => {
    const axes = (attributes.kernel_shape as number[]).length;
    const dims = [2, 3, ...[9, 10, 7].slice(0, axes)];
    const graph = await inferValues(
      graphFrom({
        inputs: { x: ['N', ...dims.slice(1)] },
        outputs: ['y'],
        nodes: [['MaxPool', ['x'], ['y'], attributes]],
      }),
    );
    const next = randomNumbers(7);
    const data = Float32Array.from({ length: sizeOf(dims) }, () => Math.floor(next() * 6) - 5); // few values: many ties, all below 0 or 0
    const sizes = valueInfo(graph, 'y').dims?.map((dim) => (typeof dim === 'number' ? dim : 2)) as number[];
    const seed = Float32Array.from({ length: sizeOf(sizes) }, () => next());
    const given = {
      scores: 'y',
      wrt: ['x'],
      input: { type: 'float32' as const, dims, data },
      seeds: [{ type: 'float32' as const, dims: sizes, data: seed }],
    };
    const [expected] = await gradientsOf(graph, given);
    const [found] = await gradientsOf(graph, { ...given, rules: { MaxPool: maxPoolByTaps } });
    const [one, other] = [expected, found].map((results) => [
      ...(results['gradient/x'].data as Float32Array),
    ]);
    expect(other.length).toBe(one.length);
    other.forEach((value, i) => expect(value).toBeCloseTo(one[i], 6));
    expect(Math.max(...one)).toBeGreaterThan(0);
  },
);

test.each([[[6]], [[4, 5]], [[3, 2, 4]]])(
  'the maximum of a channel of %o has the gradient that its place gives, ties among it',
  async (size) => {
    const dims = [2, 3, ...size];
    const graph = await inferValues(
      graphFrom({
        inputs: { x: ['N', ...dims.slice(1)] },
        outputs: ['y'],
        nodes: [['GlobalMaxPool', ['x'], ['y']]],
      }),
    );
    const next = randomNumbers(7);
    const data = Float32Array.from({ length: sizeOf(dims) }, () => Math.floor(next() * 4) - 3);
    const seed = Float32Array.from({ length: 6 }, () => next() + 0.1);
    const given = {
      scores: 'y',
      wrt: ['x'],
      input: { type: 'float32' as const, dims, data },
      seeds: [{ type: 'float32' as const, dims: [2, 3, ...size.map(() => 1)], data: seed }],
    };
    const [expected] = await gradientsOf(graph, given);
    const [found] = await gradientsOf(graph, { ...given, rules: { GlobalMaxPool: globalMaxPoolByPlace } });
    expect([...(found['gradient/x'].data as Float32Array)]).toEqual([
      ...(expected['gradient/x'].data as Float32Array),
    ]);
    expect((found['gradient/x'].data as Float32Array).filter((value) => value > 0)).toHaveLength(6);
  },
);
