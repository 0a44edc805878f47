import { afterAll, expect, it } from 'vitest';
import { type MapRequest, mapMethods } from '../../src/map/backend.js';
import { computeMaps } from '../../src/map/compute.js';
import { computeReference } from '../../src/map/reference.js';
import { openWebgpu, type WebgpuBackend } from '../../src/map/webgpu.js';
import { randomNumbers, wholeBetween } from './random.js';
import { expectClose } from './suite.js';
import { firstBeyond, wgsl } from './tolerance.js';
import { allSettings, type RandomShape, randomRequest } from './vectors.js';
import { describeWebgpu } from './webgpu_describe.js';

/** Backends by their options: a kernel takes a second to compile in software, so tests share them. */
const opened = new Map<string, Promise<WebgpuBackend>>();
function open(options: Parameters<typeof openWebgpu>[0] = {}): Promise<WebgpuBackend> {
  const key = JSON.stringify(options);
  if (!opened.has(key)) opened.set(key, openWebgpu(options));
  return opened.get(key)!;
}
afterAll(async () => {
  for (const backend of opened.values()) await (await backend).close();
});

/** Relative to the largest raw number of the request, and absolute on maps. */
async function expectNear(backend: WebgpuBackend, request: MapRequest, tolerance: number): Promise<void> {
  const actual = await computeMaps(backend, request);
  const exact = computeReference(request);
  for (const [target, raw] of exact.raw.entries()) {
    const largest = raw.reduce((a, b) => Math.max(a, b));
    expect(largest).toBeGreaterThan(0);
    // The smallest subnormal is what two roundings to it can differ by.
    const within = tolerance * largest + 2 ** -149;
    expect(
      firstBeyond(actual.raw[target], raw, () => within),
      'raw',
    ).toBeUndefined();
    expect(
      firstBeyond(actual.maps[target], exact.maps[target], () => tolerance),
      'maps',
    ).toBeUndefined();
    expect(actual.empty[target]).toEqual(exact.empty[target]);
  }
}

await describeWebgpu('random calls', () => {
  it('400 of all methods and random dims are within the bounds', async () => {
    const backend = await open();
    const random = randomNumbers(20);
    const between = (from: number, to: number) => wholeBetween(random, from, to);
    for (let call = 0; call < 400; call++) {
      const axes = between(1, 3);
      const shape: RandomShape = {
        ...allSettings[call % allSettings.length],
        images: between(1, 4),
        targets: between(1, 3),
        channels: between(1, 150),
        layer: Array.from({ length: axes }, () => between(1, [600, 26, 9][axes - 1])),
        size: Array.from({ length: axes }, () => between(1, [900, 40, 12][axes - 1])),
        scale: [10 ** between(-6, 6), 10 ** between(-6, 6)],
        signed: random() < 0.2,
        seed: call,
      };
      const request = randomRequest(shape);
      expectClose(await backend.compute(request), computeReference(request), request, wgsl);
    }
  }, 600_000);

  for (const workgroupSize of [64, 128])
    it(`40 in workgroups of ${workgroupSize}, with and without subgroups`, async () => {
      const backends = [open({ workgroupSize }), open({ workgroupSize, subgroups: false })];
      const random = randomNumbers(workgroupSize);
      for (let call = 0; call < 40; call++) {
        const request = randomRequest({
          method: mapMethods[(call >> 1) % 2 ? 0 : 5],
          channels: wholeBetween(random, 1, 200),
          layer: [wholeBetween(random, 1, 12), wholeBetween(random, 1, 12)],
          size: [wholeBetween(random, 1, 30), wholeBetween(random, 1, 30)],
          seed: call,
        });
        const backend = await backends[call % 2];
        expectClose(await backend.compute(request), computeReference(request), request, wgsl);
      }
    });
});

await describeWebgpu('layers of every size', () => {
  const shapes: [number, number[], number[]][] = [
    [40, [15, 17], [30, 31]], // 255, 256 and 257 positions: about one an invocation
    [40, [16, 16], [32, 32]],
    [40, [257], [300]],
    [9, [32, 32], [64, 64]], // 1024 and 1025: the last in workgroup memory, the first in storage
    [9, [25, 41], [64, 64]],
    [300, [48, 48], [96, 96]],
    [2, [224, 224], [224, 224]],
    [3, [16, 28, 28], [32, 56, 56]],
    [8192, [2, 2], [3, 3]],
  ];
  for (const subgroups of [undefined, false])
    for (const method of ['grad-cam++', 'layer-cam'] as const)
      it(`${method}${subgroups === false ? ', without subgroups' : ''}: to 1e-5, whatever the derived bound allows`, async () => {
        const backend = await open({ subgroups });
        for (const [channels, layer, size] of shapes)
          await expectNear(backend, randomRequest({ method, channels, layer, size, images: 2 }), 1e-5);
      });
});

await describeWebgpu('extreme magnitudes', () => {
  // float32 goes from 1e-45 to 3e38. Rescaled by powers of two, they cost no accuracy.
  const scales: [number, number][] = [
    [1e-40, 1],
    [1, 1e-40],
    [1e-44, 1e3],
    [1e-30, 1e-8],
    [1e8, 1e-30],
    [1e30, 1e-30],
    [1e-44, 1e38],
    [1e38, 1e-44],
    [1e9, 1e9],
    [1e15, 1e15],
  ];
  for (const settings of allSettings)
    it(`${JSON.stringify(settings)}: close to the reference`, async () => {
      const backend = await open();
      const softmax = settings.form === 'softmax';
      for (const scale of scales) {
        // The moments of such gradients are themselves beyond float32.
        if (softmax && (scale[1] > 1e12 || scale[1] < 1e-12)) continue;
        const request = randomRequest({
          ...settings,
          channels: 6,
          layer: [5, 5],
          size: [12, 12],
          scale,
          images: 2,
        });
        if (softmax) expectClose(await backend.compute(request), computeReference(request), request, wgsl);
        else await expectNear(backend, request, settings.gradientRelu === false ? 1e-3 : 1e-5); // α has poles without it
      }
    });

  it('raw saturates where float32 ends, and the map is right all the same', async () => {
    const backend = await open();
    const request = randomRequest({
      method: 'grad-cam',
      channels: 3,
      layer: [4, 4],
      size: [8, 8],
      scale: [1e30, 1e30],
    });
    const actual = await backend.compute(request);
    const exact = computeReference(request);
    expect(exact.raw[0].filter((v) => v === 3.4028234663852886e38).length).toBeGreaterThan(3);
    expect(actual.raw).toEqual(exact.raw);
    expect(firstBeyond(actual.maps[0], exact.maps[0], () => 1e-6)).toBeUndefined();
  });

  it('a map below float32 is empty, as its raw map is', async () => {
    const backend = await open();
    const request = randomRequest({
      method: 'grad-cam',
      channels: 3,
      layer: [4, 4],
      size: [8, 8],
      scale: [1e-30, 1e-30],
    });
    const actual = await backend.compute(request);
    expect(actual).toEqual(computeReference(request));
    expect(actual.empty[0][0]).toBe(1);
  });

  it('images of one batch are scaled each by its own magnitudes', async () => {
    const backend = await open();
    const request = randomRequest({ images: 3, channels: 6, layer: [5, 5], size: [9, 9] });
    for (const [image, scale] of [1e-42, 1, 1e36].entries())
      for (let i = image * 150; i < (image + 1) * 150; i++) request.activations[i] *= scale;
    const exact = computeReference(request);
    const actual = await backend.compute(request);
    expect(firstBeyond(actual.maps[0], exact.maps[0], () => 1e-6)).toBeUndefined();
    for (let p = 0; p < 75; p++)
      expect(Math.abs(actual.raw[0][p] - exact.raw[0][p])).toBeLessThanOrEqual(
        1e-6 * exact.raw[0][p] + 2 ** -148,
      );
  });
});
