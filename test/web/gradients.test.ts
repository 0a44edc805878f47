import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NetworkExplainer } from '../../src/explain/network-explainer.js';
import type { parseNpy } from '../../src/image/npy.js';
import type { useRuntime } from '../../src/runtime/onnxruntime.web.js';
import { browserNote, hasBrowser, openBrowser } from '../evaluate/browser.js';
import { bundleInside } from './bundle-inside.js';
import { type ServedPage, servePage } from './page.js';

/** What the page has of inside.mjs. */
declare const inside: {
  NetworkExplainer: typeof NetworkExplainer;
  parseNpy: typeof parseNpy;
  useRuntime: typeof useRuntime;
};

const oracle = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const networks = existsSync(oracle) ? readdirSync(oracle).filter((name) => !name.includes('.')) : [];

describe.skipIf(!hasBrowser || networks.length === 0)(
  `gradients in Chromium, on WebAssembly (needs ../shared/oracle)${browserNote}`,
  () => {
    let browser: Browser;
    let served: ServedPage;
    let folder: string;
    beforeAll(async () => {
      folder = await bundleInside();
      browser = await openBrowser();
      served = await servePage(browser, { inside: folder });
      await served.page.addScriptTag({
        type: 'module',
        content: `import * as inside from '/inside/inside.js'; Object.assign(globalThis, { inside });`,
      });
      await served.page.waitForFunction('globalThis.inside');
      await served.page.evaluate(() =>
        inside.useRuntime({ module: '/ort/ort.wasm.bundle.min.mjs', provider: 'wasm' }),
      );
    });
    afterAll(async () => {
      await served?.close();
      await browser?.close();
      if (folder) rmSync(folder, { recursive: true });
    });

    test.each(networks)("%s: those of PyTorch's float64, to 1e-5 of the largest", async (name) => {
      const { classes, exports } = JSON.parse(readFileSync(`${oracle}${name}/case.json`, 'utf8'));
      const error = await served.page.evaluate(
        async ([path, layer, indices]) => {
          const bytesOf = async (file: string) =>
            new Uint8Array(await (await fetch(`/shared/oracle/${path}/${file}`)).arrayBuffer());
          const bytes = await bytesOf('torchscript-17.onnx');
          const source = { bytes, name: path, externalData: new Map() };
          const explainer = await inside.NetworkExplainer.open(source as unknown as Uint8Array, { layer });
          const input = inside.parseNpy(await bytesOf('input.npy'));
          const expected = inside.parseNpy(await bytesOf('gradients.npy')).data as Float64Array;
          const { network, explained, scores } = explainer;
          const passes = await network.differentiator(explained, scores);
          const [images] = input.dims;
          const picture = { ...input, type: 'float32', data: Float32Array.from(input.data as Float32Array) };
          const forward = await passes.forward({ [network.image.name]: picture as never });
          const count = forward.scores.data.length / images;
          const each = expected.length / images / indices.length;
          let [largest, furthest] = [0, 0];
          for (const [c, index] of indices.entries()) {
            const seed = new Float32Array(images * count);
            for (let n = 0; n < images; n++) seed[n * count + index] = 1;
            const [gradient] = await passes.backward(forward, seed);
            const own = gradient.length / images; // one number a channel, where all places have the same
            for (let n = 0; n < images; n++)
              for (let k = 0; k < each; k++) {
                const wanted = expected[(n * indices.length + c) * each + k];
                const found = gradient[n * own + Math.floor((k * own) / each)];
                largest = Math.max(largest, Math.abs(wanted));
                furthest = Math.max(furthest, Math.abs(wanted - found));
              }
          }
          await explainer.close();
          return furthest / largest;
        },
        [name, exports['torchscript-17'].layer as string, classes as number[]] as const,
      );
      expect(error).toBeLessThan(1e-5);
    });
  },
);
