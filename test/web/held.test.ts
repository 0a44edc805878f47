import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type * as web from '../../src/web/index.js';
import { gpuCases } from '../explain/gpu-cases.js';
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

describe.skipIf(!hasBrowser)(`what stays on the GPU of a page${browserNote}`, { timeout: 600_000 }, () => {
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

  test.each(Object.entries(gpuCases))(
    '%s: as on the CPU',
    async (_, { stays, within = 1e-4, ...options }) => {
      const data = Float32Array.from({ length: 2 * 3 * 256 }, (__, i) => Math.sin(i * i));
      const asked = { targets: [{ class: 1 }, { class: 4 }], batchSize: 2, ...options };
      const found = await served.page.evaluate(
        async ([values, module, own]) => {
          const page = globalThis as { opened?: Promise<web.Explainer> };
          page.opened ??= gradcampp.Explainer.open('/SqueezeNet.onnx', {
            runtime: module,
            executionProviders: ['webgpu'],
            worker: false,
            layer: 'concat18',
          });
          const explainer = await page.opened;
          counted.dispatched.splice(0);
          const tensor = { type: 'float32', dims: [2, 3, 16, 16], data: Float32Array.from(values) } as const;
          // Two calls at the same time: one waits for the other.
          const [all] = await Promise.all([
            explainer.explain(tensor, own as never),
            explainer.predict(tensor),
          ]);
          const targets = all.flatMap((one) =>
            one.targets.map(({ method, layers, map, evidence }) => ({
              method,
              layers,
              map: [...map.data],
              gradients: evidence?.gradients && [...evidence.gradients],
            })),
          );
          return { targets, dispatched: counted.dispatched.splice(0) };
        },
        [[...data], runtime, asked] as const,
      );
      await using explainer = await Explainer.open(bytesFrom(families.SqueezeNet), {
        backend: 'reference',
        layer: 'concat18',
      });
      const expected = await explainer.explain(
        { type: 'float32', dims: [2, 3, 16, 16], data },
        asked as Parameters<Explainer['explain']>[1],
      );
      const methods = options.method as readonly string[];
      const layers = options.layer as readonly string[];
      expect(found.dispatched).toEqual(stays ? methods.flatMap((name) => layers.map(() => name)) : []);
      const all = expected.flatMap(({ targets }) => targets);
      expect(found.targets).toHaveLength(all.length);
      for (const [i, { method, layers: own, map, evidence }] of all.entries()) {
        const there = found.targets[i];
        expect(there).toMatchObject({ method, layers: own });
        expect(furthest(there.map, map.data), method).toBeLessThan(within);
        if (!evidence?.gradients) continue;
        const largest = evidence.gradients.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        expect(furthest(there.gradients ?? [], evidence.gradients) / largest).toBeLessThan(1e-5);
      }
      expect(served.errors).toEqual([]);
    },
  );

  test('a view draws what an overlay is; colours, opacity, threshold and the method cost nothing that is read', async () => {
    const { page } = served;
    const found = await page.evaluate(
      async ([module]) => {
        const explainer = await gradcampp.Explainer.open('/assets/shapes.onnx', {
          runtime: module,
          executionProviders: ['webgpu'],
          worker: false,
          preprocess: '/assets/shapes.json',
        });
        // In place of a canvas: one on the screen loses the device of Chromium's software GPU, whatever draws on it.
        let texture: GPUTexture | undefined;
        let device: GPUDevice;
        const context = {
          configure: (own: { device: GPUDevice }) => {
            device = own.device;
          },
          getCurrentTexture: () => {
            texture ??= device.createTexture({
              size: [canvas.width, canvas.height],
              format: navigator.gpu.getPreferredCanvasFormat(),
              usage: GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC,
            });
            return texture;
          },
          unconfigure: () => {},
        };
        const canvas = {
          width: 1,
          height: 1,
          getContext: (kind: string) => (kind === 'webgpu' ? context : null),
        };
        Object.defineProperty(GPUDevice.prototype, 'adapterInfo', {
          get: () => ({ vendor: '', architecture: '', device: '', description: '' }),
        });
        const view = await explainer.view(canvas as unknown as OffscreenCanvas);
        const early = await view.draw({}).catch((error: Error) => error.message);
        const options = { targets: { top: 2 }, method: ['grad-cam++', 'grad-cam'] } as const;
        const pixelsNow = async () => {
          const { width, height } = canvas;
          const row = Math.ceil(width / 64) * 256;
          const buffer = device.createBuffer({
            size: row * height,
            usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
          });
          const encoder = device.createCommandEncoder();
          encoder.copyTextureToBuffer({ texture: texture as GPUTexture }, { buffer, bytesPerRow: row }, [
            width,
            height,
          ]);
          device.queue.submit([encoder.finish()]);
          await buffer.mapAsync(GPUMapMode.READ);
          const bytes = new Uint8Array(buffer.getMappedRange());
          const order = navigator.gpu.getPreferredCanvasFormat().startsWith('bgra') ? [2, 1, 0] : [0, 1, 2];
          return Uint8Array.from({ length: 3 * width * height }, (_, i) => {
            const place = Math.floor(i / 3);
            return bytes[Math.floor(place / width) * row + 4 * (place % width) + order[i % 3]];
          });
        };
        const counts = () => {
          const { read, dispatched } = counted;
          return { read: read.splice(0), dispatched: dispatched.splice(0) };
        };
        await explainer.warmUp();
        counts();
        const shown = await view.show('/assets/pictures/apples-and-cups.png', options);
        const ofShow = counts();
        const looks = [
          {},
          { opacity: 0.9 },
          { colormap: 'viridis' },
          { threshold: 0.4 },
          { index: 2 },
          { method: 'layer-cam' },
          { opacity: 0, threshold: 0 },
        ] as const;
        const drawn: Uint8Array[] = [];
        const costs: ReturnType<typeof counts>[] = [];
        for (const look of looks) {
          await view.draw(look);
          costs.push(counts());
          drawn.push(await pixelsNow());
          counts();
        }
        const refused = await view.draw({ method: 'score-cam' }).catch((error: Error) => error.message);
        const whole = await view.read();
        const ofRead = counts().read.length;
        const [layerCam] = await explainer.explain('/assets/pictures/apples-and-cups.png', {
          targets: { top: 2 },
          method: 'layer-cam',
        });
        const { picture, geometry, targets } = whole;
        let look: web.OverlayOptions = {};
        let map = targets[0].map;
        const far = looks.map(({ index, method, ...change }: web.Look, i) => {
          look = { ...look, ...change };
          if (index !== undefined) map = targets[index].map;
          if (method !== undefined) map = layerCam.targets[1].map;
          const { data } = gradcampp.drawOverlay(picture as web.Pixels, map, { ...look, geometry });
          return data.reduce((most, level, at) => Math.max(most, Math.abs(level - drawn[i][at])), 0);
        });
        await view.close();
        const after = await view.draw({}).catch((error: Error) => error.message);
        await explainer.close();
        return {
          early,
          refused,
          after,
          ofShow,
          costs,
          ofRead,
          far,
          shown: shown.targets,
          read: targets.map(({ target, method }) => ({ target, method })),
        };
      },
      [runtime] as const,
    );
    expect(found).toMatchObject({
      early: 'The view shows nothing yet: call show first.',
      after: found.early,
    });
    expect(found.refused).toMatch(/^"method" score-cam takes more than the gradients that are there/);
    expect(found.shown).toEqual(found.read);
    expect(found.ofShow).toEqual({ read: [32], dispatched: ['grad-cam++'] }); // eight scores
    const nothing = { read: [], dispatched: [] };
    expect(found.costs).toEqual([
      nothing,
      nothing,
      nothing,
      nothing,
      { read: [], dispatched: ['grad-cam++'] },
      { read: [], dispatched: ['layer-cam'] },
      nothing,
    ]);
    expect(found.ofRead).toBe(2);
    expect(Math.max(...found.far)).toBeLessThanOrEqual(2);
    expect(served.errors).toEqual([]);
  });

  test('where no GPU runs the network, a view on a canvas of the page draws the same', async () => {
    const far = await served.page.evaluate(async () => {
      const explainer = await gradcampp.Explainer.open('/assets/shapes.onnx', {
        runtime: '/ort/ort.wasm.bundle.min.mjs',
        preprocess: '/assets/shapes.json',
      });
      const canvas = document.body.appendChild(document.createElement('canvas'));
      const view = await explainer.view(canvas);
      await view.show('/assets/pictures/apples-and-cups.png', { targets: { top: 2 } });
      await view.draw({ index: 1, opacity: 0.7, colormap: 'viridis', threshold: 0.3 });
      const { picture, targets, geometry } = await view.read();
      const { data, width, height } = gradcampp.toImageData(
        gradcampp.drawOverlay(picture as web.Pixels, targets[1].map, {
          opacity: 0.7,
          colormap: 'viridis',
          threshold: 0.3,
          geometry,
        }),
      );
      const flat = new OffscreenCanvas(width, height).getContext('2d') as OffscreenCanvasRenderingContext2D;
      const away = () => {
        flat.drawImage(canvas, 0, 0);
        const shown = flat.getImageData(0, 0, width, height).data;
        return data.reduce((most, level, i) => Math.max(most, Math.abs(level - shown[i])), 0);
      };
      while (away() > 1) await new Promise((resolve) => requestAnimationFrame(resolve)); // shown with a frame of the page
      const used = await explainer.view(canvas).catch((error: Error) => error.message);
      const method = await view.draw({ method: 'grad-cam' }).catch((error: Error) => error.message);
      await explainer.close();
      return { used, method };
    });
    expect(far).toEqual({
      used: expect.stringMatching(/^"canvas" must be a canvas on which nothing was drawn before/),
      method:
        '"method" "grad-cam" would need the gradients of "grad-cam++", which no GPU holds here: show the picture with it.',
    });
  });
});
