import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type * as web from '../../src/web/index.js';
import { browserNote, hasBrowser, openBrowser } from '../evaluate/browser.js';
import { furthest } from '../methods/oracle.js';
import { families } from '../support/families.js';
import { bytesFrom } from '../support/network.js';
import { type ServedPage, servePage } from './page.js';

/** What the page's script leaves there. */
declare const gradcampp: typeof web;
/** What is counted of the GPU. */
declare const counted: { read: number[]; dispatched: string[]; uploaded: number };

const runtime = '/ort/ort.webgpu.bundle.min.mjs';
const fused = ['grad-cam++', 'grad-cam', 'layer-cam'] as const;

/** Counts what leaves the GPU and which shaders of ours are dispatched, in the thread in which it runs. */
const counting = `
  const counted = { read: [], dispatched: [], uploaded: 0 };
  globalThis.counted = counted;
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (mode, offset = 0, size = this.size - offset) {
    if (mode === GPUMapMode.READ) counted.read.push(size);
    return mapAsync.call(this, mode, offset, size);
  };
  const { setPipeline } = GPUComputePassEncoder.prototype;
  GPUComputePassEncoder.prototype.setPipeline = function (pipeline) {
    this.label = pipeline.label;
    return setPipeline.call(this, pipeline);
  };
  const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...sizes) {
    if (this.label.startsWith('map')) counted.dispatched.push(this.label.split(' ')[1]);
    return dispatchWorkgroups.apply(this, sizes);
  };`;

describe.skipIf(!hasBrowser)(`what stays on the GPU of a page${browserNote}`, () => {
  let browser: Browser;
  let served: ServedPage;
  beforeAll(async () => {
    browser = await openBrowser({ gpu: true });
    served = await servePage(browser);
    await served.page.addScriptTag({ content: counting });
    for (const [name, graph] of Object.entries(families)) served.files.set(`/${name}.onnx`, bytesFrom(graph));
  });
  afterAll(async () => {
    await served?.close();
    await browser?.close();
  });

  test('of an explanation the scores and the map are read, by one dispatch a method', async () => {
    const data = Float32Array.from({ length: 2 * 3 * 256 }, (_, i) => Math.sin(i * i));
    await using explainer = await Explainer.open(bytesFrom(families.SqueezeNet), {
      backend: 'reference',
      layer: 'concat18',
    });
    const found = await served.page.evaluate(
      async ([values, module, method]) => {
        const explainer = await gradcampp.Explainer.open('/SqueezeNet.onnx', {
          runtime: module,
          executionProviders: ['webgpu'],
          worker: false,
          layer: 'concat18',
        });
        await explainer.warmUp();
        const before = counted.read.length;
        const tensor = { type: 'float32', dims: [2, 3, 16, 16], data: Float32Array.from(values) } as const;
        const all = await explainer.explain(tensor, {
          targets: [{ class: 1 }, { class: 3 }] as never,
          method,
          batchSize: 2,
        });
        const read = counted.read.slice(before);
        const dispatched = counted.dispatched.splice(0);
        await explainer.close();
        const targets = all.map((own) =>
          own.targets.map(({ map, raw, backend }) => ({ map: [...map.data], raw: raw?.dims, backend })),
        );
        return { read, dispatched, targets };
      },
      [[...data], runtime, fused] as const,
    );
    const expected = await explainer.explain(
      { type: 'float32', dims: [2, 3, 16, 16], data },
      { targets: [{ class: 1 }, { class: 3 }] as never, method: fused },
    );
    expect(found.dispatched).toEqual(fused);
    // Two rows of five scores, in steps of 16 bytes; of two pictures and two targets a head, the raw map and the map.
    const map = 2 * 2 * 4 * (4 + 8 * 8 + 16 * 16);
    expect(found.read).toEqual([48, map, map, map]);
    for (const [n, { targets }] of expected.entries())
      for (const [t, { map }] of targets.entries()) {
        expect(found.targets[n][t]).toMatchObject({ raw: [8, 8], backend: 'webgpu' });
        expect(
          furthest(Float32Array.from(found.targets[n][t].map), Float64Array.from(map.data)),
        ).toBeLessThan(1e-4);
      }
    expect(served.errors).toEqual([]);
  });
});
