import { rmSync } from 'node:fs';
import { type ErrorCode, GradcamppError } from '../../src/errors.js';
import type { MapBackend, MapRequest, MapResult } from '../../src/map/backend.js';
import { hasBrowser, openBrowser } from '../evaluate/browser.js';
import { bundleInside } from './bundle-inside.js';
import { servePage } from './page.js';

/** A backend of the map stage that computes in a page of Chromium, whose GPU is SwiftShader where there is no other. */
export async function openInPage(name: 'webgpu' | 'reference'): Promise<MapBackend> {
  if (!hasBrowser) throw new Error('no /usr/bin/chromium');
  const folder = await bundleInside();
  const browser = await openBrowser({ gpu: true });
  const served = await servePage(browser, { inside: folder });
  await served.page.addScriptTag({
    type: 'module',
    content: `import * as inside from '/inside/inside.js';
      Object.assign(globalThis, { backend: await inside.${name === 'webgpu' ? 'openWebgpu' : 'openReference'}() });`,
  });
  await served.page.waitForFunction('globalThis.backend').catch(() => {
    throw new Error(`no backend in the page: ${served.errors.join('; ')}`);
  });
  return {
    name,
    checksFinite: name === 'webgpu',
    compute: async (request) => {
      const answer = await served.page.evaluate(async (text) => {
        const { backend } = globalThis as unknown as { backend: MapBackend };
        const floats = ({ base64 }: { base64: string }) => {
          const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
          return new Float32Array(bytes.buffer);
        };
        const inText = (array: Float32Array | Uint8Array) => {
          const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
          let own = '';
          for (let i = 0; i < bytes.length; i += 8192)
            own += String.fromCharCode(...bytes.subarray(i, i + 8192));
          return btoa(own);
        };
        const request = JSON.parse(text, (_, value) => (value?.base64 === undefined ? value : floats(value)));
        try {
          const { raw, maps, empty } = await backend.compute(request);
          return { raw: raw.map(inText), maps: maps.map(inText), empty: empty.map(inText) };
        } catch (error) {
          const { code, message } = error as { code?: string; message: string };
          return { code: code ?? 'RUNTIME', message };
        }
      }, inText(request));
      if ('message' in answer) throw new GradcamppError(answer.code as ErrorCode, String(answer.message));
      const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'));
      const floats = (text: string) => new Float32Array(bytes(text).buffer);
      const result: MapResult = {
        raw: answer.raw.map(floats),
        maps: answer.maps.map(floats),
        empty: answer.empty.map(bytes),
      };
      return result;
    },
    close: async () => {
      await served.close();
      await browser.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Numbers as text; a message to a page has no typed arrays. */
function inText(request: MapRequest): string {
  return JSON.stringify(request, (_, value) =>
    value instanceof Float32Array
      ? { base64: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
      : value,
  );
}
