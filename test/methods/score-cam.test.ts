import { expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { settingsOf } from '../../src/explain/explain-options.js';
import { maskPicture, maskRange, wholeMask } from '../../src/methods/common/masked-pictures.js';
import { softmax } from '../../src/methods/score-cam.js';
import { bytesFrom, classifier, type ShortGraph, values } from '../support/network.js';
import { furthest, holdsOracle } from './oracle.js';

test.each([
  {
    what: 'channels first',
    inputDims: [2, 1, 2],
    channelAxis: 0,
    mask: [10, 100],
    expected: [10, 200, 30, 400],
  },
  {
    what: 'channels last',
    inputDims: [1, 2, 2],
    channelAxis: 2,
    mask: [10, 100],
    expected: [10, 20, 300, 400],
  },
  {
    what: 'no channels',
    inputDims: [4],
    channelAxis: -1,
    mask: [1, 10, 100, 1000],
    expected: [1, 20, 300, 4000],
  },
  {
    what: 'a mask for every frame',
    inputDims: [1, 2, 2],
    channelAxis: 0,
    mask: [10, 100],
    expected: [10, 200, 30, 400],
  },
  {
    what: 'a mask for every frame, channels last',
    inputDims: [2, 2, 1],
    channelAxis: 2,
    mask: [10, 100],
    expected: [10, 200, 30, 400],
  },
])('masks a picture: $what', ({ inputDims, channelAxis, mask, expected }) => {
  const input = Float32Array.from([9, 9, 9, 9, 1, 2, 3, 4]); // the second of two
  const out = new Float32Array(4).fill(-1);
  maskPicture({ input, inputDims, channelAxis }, 1, wholeMask(Float64Array.from(mask)), out);
  expect([...out]).toEqual(expected);
});

test('normalises by hand', () => {
  expect(maskRange(wholeMask(Float64Array.of(1, 3, 2)))).toEqual({ least: 1, scale: 0.5 });
  expect(maskRange(wholeMask(Float64Array.of(3, 3)))).toEqual({ least: 3, scale: 0 });
  const [input, out] = [Float32Array.of(2, 4), new Float32Array(2)];
  const mask = wholeMask(Float64Array.of(1, 3));
  maskPicture({ input, inputDims: [2], channelAxis: -1 }, 0, mask, out, { least: 1, scale: 0.5 });
  expect([...out]).toEqual([0, 4]);
});

test('the softmax of scores by hand, of large ones and of none', () => {
  expect(furthest(softmax(Float64Array.of(0, Math.log(3))), [0.25, 0.75])).toBeLessThan(1e-15);
  expect([...softmax(Float64Array.of(1000, 1000, Number.NEGATIVE_INFINITY))]).toEqual([0.5, 0.5, 0]);
  expect([...softmax(new Float64Array(2).fill(Number.NEGATIVE_INFINITY))]).toEqual([0, 0]);
});

test('runs a channel once for all targets, and all constant channels once', async () => {
  const plain = classifier();
  const constants = { ...plain.constants };
  const dead = new Float32Array(constants.b2.bytes.buffer.slice(0)); // the sixth is 0 everywhere as it is
  dead[1] = dead[4] = -100;
  constants.b2 = { ...constants.b2, bytes: new Uint8Array(dead.buffer) };
  const image = { type: 'float32', dims: [3, 8, 8], data: values(4, [3, 8, 8]) } as const;
  await using explainer = await Explainer.open(bytesFrom({ ...plain, constants }), { layer: 'relu2' });
  const passes: number[][] = [];
  const settings = settingsOf({ method: 'score-cam', targets: [0, 2, 3] });
  const [{ targets }] = await explainer.explainPrepared(
    await explainer.prepare(image),
    settings,
    undefined,
    (...step) => passes.push(step),
  );
  expect(passes.at(-1)).toEqual([4, 4]);
  for (const { target, map } of targets) {
    const [alone] = await explainer.explain(image, { method: 'score-cam', targets: target.class });
    expect(map.data).toEqual(alone.targets[0].map.data);
    expect(map.empty).toBe(false);
  }
});

test('masks pictures alike whose channels are last, and where N is fixed', async () => {
  const plain = classifier();
  const last = {
    ...plain,
    inputs: { picture: ['N', 8, 8, 3] },
    nodes: [['Transpose', ['picture'], ['image'], { perm: [0, 3, 1, 2] }] as const, ...plain.nodes],
  };
  const data = values(4, [3, 8, 8]);
  const turned = Float32Array.from({ length: 192 }, (_, i) => data[(i % 3) * 64 + Math.floor(i / 3)]);
  const maps = async (graph: ShortGraph, dims: number[], own: Float32Array) => {
    await using explainer = await Explainer.open(bytesFrom(graph), { layer: 'relu2' });
    const image = { type: 'float32', dims, data: own } as const;
    const [{ targets }] = await explainer.explain(image, {
      method: ['score-cam', { method: 'rise', masks: 9, cells: 3 }],
      targets: 2,
    });
    return targets.map(({ map }) => map.data);
  };
  const expected = await maps(plain, [3, 8, 8], data);
  const found = [await maps(last, [8, 8, 3], turned), await maps(classifier({ batch: 3 }), [3, 8, 8], data)];
  for (const own of found)
    for (const [i, map] of own.entries()) expect(furthest(map, expected[i])).toBeLessThan(1e-5);
  expect(Math.max(...expected[0])).toBe(1);
});

holdsOracle('score-cam', { variant: () => ({ method: 'score-cam' }) });
