import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readNpy } from '../../src/image/npy.js';
import type * as web from '../../src/web/index.js';
import { chosenProvider } from '../../src/web/provider.js';
import { browserNote, hasBrowser, openBrowser } from '../evaluate/browser.js';
import { furthest } from '../methods/oracle.js';
import { type ServedPage, servePage } from './page.js';

/** What the page's script leaves there. */
declare const gradcampp: typeof web;

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url));
const runtime = '/ort/ort.webgpu.bundle.min.mjs';
const methods = ['grad-cam++', 'grad-cam', 'layer-cam'] as const;

describe('the choice of an execution provider', () => {
  const gpu = (info: Partial<GPUAdapterInfo> | undefined) =>
    ({ requestAdapter: async () => (info ? { info } : null) }) as unknown as GPU;
  const real = gpu({ vendor: 'nvidia', architecture: 'hopper', device: '', description: '' });
  const software = gpu({ vendor: 'google', architecture: 'swiftshader', device: '', description: '' });

  test.each([
    ['a GPU', undefined, false, real, 'webgpu', 'The network runs on the GPU (webgpu, nvidia hopper).'],
    ['a program that stands in for one', undefined, false, software, 'wasm', undefined],
    ['none', undefined, false, gpu(undefined), 'wasm', undefined],
    ['a named module', undefined, true, real, 'wasm', undefined],
    [
      'both named, none there',
      ['webgpu', 'wasm'],
      true,
      gpu(undefined),
      'wasm',
      'The network runs on the CPU (wasm): the browser gives no GPU.',
    ],
    [
      'both named',
      ['webgpu', 'wasm'],
      true,
      software,
      'webgpu',
      'The network runs on the GPU (webgpu, google swiftshader).',
    ],
    ['one named', ['webgpu'], true, gpu(undefined), 'webgpu', undefined],
  ] as const)('%s', async (_, named, isModuleNamed, own, provider, note) => {
    expect(await chosenProvider(named, isModuleNamed, own)).toEqual(
      note === undefined ? { provider } : { provider, note },
    );
  });

  test('what there is not is refused', async () => {
    await expect(chosenProvider(['cuda'], false)).rejects.toThrow(
      '"executionProviders" must be one of wasm, webgpu',
    );
    await expect(chosenProvider([], false)).rejects.toThrow(
      '"executionProviders" must be one of wasm, webgpu',
    );
  });
});

const networks = ['conv1d', 'softmax_tail', 'resizer', 'vgg_bn'];
describe.skipIf(!hasBrowser || !existsSync(`${shared}oracle`))(
  `PyTorch's networks in Chromium, on WebGPU (needs ../shared/oracle)${browserNote}`,
  () => {
    let browser: Browser;
    let served: ServedPage;
    beforeAll(async () => {
      browser = await openBrowser({ gpu: true });
      served = await servePage(browser);
    });
    afterAll(async () => {
      await served?.close();
      await browser?.close();
    });

    test.each(networks)('%s: maps within 1e-4 of the oracle', async (name) => {
      const folder = `${shared}oracle/${name}/`;
      const { classes, exports } = JSON.parse(readFileSync(`${folder}case.json`, 'utf8')) as {
        classes: readonly number[];
        exports: Readonly<Record<string, { readonly layer: string }>>;
      };
      const found = await served.page.evaluate(
        async ([path, layer, targets, method, module]) => {
          const explainer = await gradcampp.Explainer.open(`${path}/torchscript-17.onnx`, {
            layer,
            runtime: module,
            executionProviders: ['webgpu'],
            backend: 'webgpu',
          });
          const explanations = await explainer.explain(new URL(`${location.origin}${path}/input.npy`), {
            targets,
            method,
            batchSize: 2,
          });
          await explainer.close();
          const maps = explanations.map((own) => own.targets.map(({ map }) => [...map.data]));
          return { maps, provider: explainer.provider, backend: explanations[0].targets[0].backend };
        },
        [`/shared/oracle/${name}`, exports['torchscript-17'].layer, classes, methods, runtime] as const,
      );
      expect(found).toMatchObject({ provider: 'webgpu', backend: 'webgpu' });
      for (const [i, method] of methods.entries()) {
        const expected = Float64Array.from(
          (await readNpy(`${folder}${method}.map.npy`)).data as Float32Array,
        );
        const size = found.maps[0][0].length;
        found.maps.forEach((targets, n) =>
          classes.forEach((_, c) => {
            const at = (n * classes.length + c) * size;
            const map = Float32Array.from(targets[c * methods.length + i]);
            expect(furthest(map, expected.subarray(at, at + size))).toBeLessThan(1e-4);
          }),
        );
      }
      expect(served.errors).toEqual([]);
    });
  },
);
