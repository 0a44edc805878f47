import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { execPath } from 'node:process';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { type AddonRequest, addonCandidates, loadAddon } from '../../src/addon.js';
import { mapMethods } from '../../src/map/backend.js';
import { computeMaps } from '../../src/map/compute.js';
import { openNative } from '../../src/map/native.js';
import { computeReference } from '../../src/map/reference.js';
import { describeBackend } from './suite.js';
import { cpu, firstBeyond } from './tolerance.js';
import { allSettings, randomRequest } from './vectors.js';

await describeBackend('native', () => openNative({ threads: 2 }), cpu);

const addon = loadAddon();
const missing = 'problems' in addon;

describe.skipIf(missing)('the addon (skipped where it does not load)', () => {
  if (missing) return;
  const shapes = [
    { images: 5, channels: 33, layer: [7, 7], size: [30, 30], targets: 2 },
    { images: 3, channels: 5, layer: [2, 3, 11], size: [5, 7, 19] },
    { images: 2, channels: 6, layer: [65], size: [200] },
  ];

  it('gives the same bits with every instruction set and number of threads', async () => {
    expect(addon.instructionSets).toContain('scalar');
    const backends = await Promise.all(
      addon.instructionSets.flatMap((instructionSet) =>
        [1, 2, 5].map((threads) => openNative({ threads, instructionSet })),
      ),
    );
    for (const shape of shapes)
      for (const settings of allSettings) {
        const request = randomRequest({ ...shape, ...settings });
        const [first, ...others] = await Promise.all(backends.map((backend) => backend.compute(request)));
        for (const other of others) expect(other).toEqual(first);
      }
    await Promise.all(backends.map((backend) => backend.close()));
  });

  it('computes in double: within a rounding of the reference, far inside the bound', async () => {
    const backend = await openNative({ threads: 1 });
    for (const settings of allSettings) {
      const request = randomRequest({ ...shapes[0], ...settings });
      const [actual, exact] = [await backend.compute(request), computeReference(request)];
      for (const [target, map] of exact.maps.entries())
        expect(firstBeyond(actual.maps[target], map, () => 2 ** -22)).toBeUndefined();
    }
    await backend.close();
  });

  it('keeps the product of four denominators from overflowing', async () => {
    const backend = await openNative({ threads: 1 });
    const request = randomRequest({ ...shapes[0], size: [7, 7] });
    const scaled = (array: Float32Array) => array.map((x) => Math.fround(Math.abs(x) * 1e38));
    const largest = {
      ...request,
      activations: scaled(request.activations),
      gradients: request.gradients.map(scaled),
    };
    const [actual, exact] = [await backend.compute(largest), computeReference(largest)];
    for (const [target, map] of exact.maps.entries()) {
      expect(Math.max(...map)).toBe(1);
      expect(firstBeyond(actual.maps[target], map, () => 2 ** -22)).toBeUndefined();
    }
    await backend.close();
  });

  it('refuses arrays that do not fit the dims, before anything is read', () => {
    const pool = new addon.Pool(1);
    const request: AddonRequest = {
      method: mapMethods.indexOf('grad-cam++'),
      softmax: false,
      alphaNormalization: false,
      gradientRelu: true,
      images: 2,
      channels: 3,
      layer: [2, 2],
      size: [4, 4],
      activations: new Float32Array(24),
      gradients: [new Float32Array(24)],
      weights: [],
      moments: [],
    };
    const outputs = { raw: [new Float32Array(8)], maps: [new Float32Array(32)], empty: [new Uint8Array(2)] };
    const softmax = { ...request, softmax: true };
    const refusals: [object, object, string][] = [
      [
        { ...request, activations: new Float32Array(23) },
        outputs,
        'activations must have 24 elements; it has 23',
      ],
      [{ ...request, activations: new Float64Array(24) }, outputs, 'activations must be a Float32Array'],
      [{ ...request, activations: undefined }, outputs, 'activations must be a Float32Array'],
      [{ ...request, gradients: [] }, outputs, 'gradients must be one array a target'],
      [{ ...request, gradients: [new Float32Array(25)] }, outputs, 'gradients must have 24 elements'],
      [{ ...request, method: 2 }, outputs, 'weights must be one array a target'],
      [{ ...request, method: 6 }, outputs, 'method must be the index of a method'],
      [softmax, outputs, 'moments must be three arrays'],
      [
        { ...softmax, moments: [1, 2, 3].map((n) => new Float32Array(21 + n)) },
        outputs,
        'moments must have 24 elements',
      ],
      [{ ...request, images: 3 }, outputs, 'activations must have 36 elements'],
      [{ ...request, images: -1 }, outputs, 'images must be a whole number'],
      [{ ...request, channels: 1.5 }, outputs, 'channels must be a whole number'],
      [{ ...request, channels: 2 ** 40 }, outputs, 'channels must be a whole number'],
      [{ ...request, layer: [2147483647, 2147483647, 2147483647] }, outputs, 'the dims are too large'],
      [{ ...request, layer: [1, 1, 1, 4] }, outputs, 'layer must be 1 to 3 dims'],
      [{ ...request, layer: [4] }, outputs, "size must be of the layer's rank"],
      [{ ...request, size: [4, 0] }, outputs, 'size must be a whole number'],
      [request, { ...outputs, maps: [new Float32Array(31)] }, 'maps must have 32 elements'],
      [request, { ...outputs, raw: [] }, 'outputs must be one array a target'],
      [request, { ...outputs, empty: [new Float32Array(2)] }, 'empty must be a Uint8Array'],
    ];
    for (const [bad, out, message] of refusals)
      expect(() => pool.maps(bad as AddonRequest, out as typeof outputs)).toThrow(message);
    pool.close();
    expect(() => pool.maps(request, outputs)).toThrow('the pool is closed');
    expect(() => new addon.Pool(0)).toThrow('threads must be a whole number');
    expect(() => new addon.Pool(257)).toThrow('threads must be at most 256');
    expect(() => new addon.Pool(1, 'mmx')).toThrow('instructionSet must be one that this processor has');
  });

  it('keeps what it works on, whatever becomes of the request and the pool', async () => {
    const backend = await openNative({ threads: 2 });
    const answers = Array.from({ length: 40 }, (_, seed) => {
      const request = randomRequest({ images: 4, channels: 64, layer: [9, 9], size: [40, 40], seed });
      const gradients = [...request.gradients];
      const answer = computeMaps(backend, { ...request, gradients });
      gradients.length = 0;
      return { request, answer };
    });
    await backend.close();
    for (const { request, answer } of answers)
      expect(
        firstBeyond((await answer).maps[0], computeReference(request).maps[0], () => 1e-6),
      ).toBeUndefined();
  });

  it('has one thread a processor, and one inside a worker thread', async () => {
    const threadsAsked = `
      const { availableParallelism } = require('node:os');
      const { parentPort } = require('node:worker_threads');
      let asked;
      class Pool { constructor(threads) { asked = threads; } }
      import(${JSON.stringify(new URL('../../dist/map/native.js', import.meta.url).href)})
        .then(({ openNative }) => openNative({}, { Pool }))
        .then(() => parentPort ? parentPort.postMessage(asked) : console.log(asked, availableParallelism()));`;
    const worker = new Worker(threadsAsked, { eval: true });
    expect(await new Promise((resolve) => worker.once('message', resolve))).toBe(1);
    const [asked, processors] = execFileSync(execPath, ['--eval', threadsAsked], { encoding: 'utf8' })
      .trim()
      .split(' ');
    expect(asked).toBe(processors);
  });

  it('ends with its worker, and with the process, in the middle of its work', async () => {
    const program = `
      const { parentPort, workerData } = require('node:worker_threads');
      const addon = require(workerData);
      const pool = new addon.Pool(3);
      const request = { method: 1, softmax: false, alphaNormalization: false, gradientRelu: true, images: 200, channels: 64,
        layer: [14, 14], size: [100, 100], activations: new Float32Array(200 * 64 * 196).fill(1),
        gradients: [new Float32Array(200 * 64 * 196).fill(1)], weights: [], moments: [] };
      const outputs = { raw: [new Float32Array(200 * 196)], maps: [new Float32Array(200 * 10000)], empty: [new Uint8Array(200)] };
      pool.maps(request, outputs);
      parentPort.postMessage('busy');`;
    const loaded = addonCandidates().find((candidate) => !('problems' in loadAddon([candidate])))!;
    const path = createRequire(new URL('../../src/addon.ts', import.meta.url)).resolve(loaded.name);
    const worker = new Worker(program, { eval: true, workerData: path });
    await new Promise((resolve) => worker.once('message', resolve));
    expect(await worker.terminate()).toBeTypeOf('number');
    // The same at the end of the process.
    const ending = program
      .replace(/^.*worker_threads.*$/m, '')
      .replace('require(workerData)', `require(${JSON.stringify(path)})`)
      .replace("parentPort.postMessage('busy')", "console.log('busy'); process.exit(0)");
    expect(execFileSync(execPath, ['--eval', ending], { encoding: 'utf8' })).toBe('busy\n');
  });
});
