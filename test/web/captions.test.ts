import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelFile } from '../../src/graph/model-file.js';
import { DataType } from '../../src/onnx/types.js';
import { Captioner } from '../../src/caption/captioner.js';
import type * as web from '../../src/web/index.js';
import { encoder, wholeDecoder } from '../caption/captioner.js';
import { graphFrom } from '../support/network.js';
import { browserNote, hasBrowser, openBrowser } from '../evaluate/browser.js';
import { furthest } from '../methods/oracle.js';
import { type ServedPage, servePage } from './page.js';

/** What the page's script leaves there. */
declare const gradcampp: typeof web;

const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const runtime = '/ort/ort.wasm.bundle.min.mjs';
const scene = 'scenes/apple-and-starfish.png';
const files = {
  encoder: 'captioner/encoder_model.onnx',
  decoder: 'captioner/decoder_model.onnx',
  tokenizer: 'captioner/vocabulary.json',
};

describe.skipIf(!hasBrowser)(`captions in Chromium, on WebAssembly${browserNote}`, () => {
  let browser: Browser;
  let served: ServedPage;
  beforeAll(async () => {
    browser = await openBrowser();
    served = await servePage(browser);
  });
  afterAll(async () => {
    await served?.close();
    await browser?.close();
  });

  interface Found {
    readonly text: string;
    readonly isGiven: boolean;
    readonly logProbability: number;
    readonly tokens: readonly { readonly token: string; readonly logProbability: number }[];
    readonly maps: readonly (readonly number[])[];
    readonly attention: readonly number[] | undefined;
    readonly facts: {
      readonly provider: string;
      readonly layers: readonly string[];
      readonly candidates: number;
    };
  }
  /** Opens the embedded captioner in the page, explains one picture, and closes it. */
  const explained = (options: web.CaptionOptions, worker: boolean): Promise<Found> =>
    served.page.evaluate(
      async ([module, own, isWorker, picture, { encoder, decoder, tokenizer }]) => {
        const captioner = await gradcampp.Captioner.open({
          encoder: `/assets/${encoder}`,
          decoder: `/assets/${decoder}`,
          tokenizer: `/assets/${tokenizer}`,
          generation: '/assets/captioner/generation_config.json',
          preprocess: '/assets/captioner/encoder_model.json',
          layer: 'relu5',
          runtime: module,
          worker: isWorker,
        });
        const { provider, layers, candidates } = captioner;
        const { tokens, caption } = await captioner.explain(`/assets/${picture}`, own);
        await captioner.close();
        const { text, isGiven, logProbability } = caption;
        return {
          text,
          isGiven,
          logProbability,
          tokens: tokens.map((one) => ({ token: one.token, logProbability: one.logProbability })),
          maps: [caption, ...tokens].map(({ map }) => [...map.data]),
          attention: tokens[0].attention && [...tokens[0].attention.data],
          facts: { provider, layers, candidates: candidates.length },
        };
      },
      [runtime, options, worker, scene, files] as const,
    );

  test.each([
    ['said, in a worker', {}, true],
    ['given, in the page', { text: 'a red apple', method: 'layer-cam', layer: 'relu4' }, false],
  ] as const)(
    'a caption that is %s has the words and maps that it has in Node',
    async (_, options, worker) => {
      const { encoder, decoder, tokenizer } = files;
      await using captioner = await Captioner.open({
        encoder: `${assets}${encoder}`,
        decoder: `${assets}${decoder}`,
        tokenizer: `${assets}${tokenizer}`,
        layer: 'relu5',
        backend: 'reference',
      });
      const { tokens, caption } = await captioner.explain(`${assets}${scene}`, options);
      const found = await explained(options, worker);
      expect(found).toMatchObject({ text: caption.text, isGiven: caption.isGiven });
      expect(found.logProbability).toBeCloseTo(caption.logProbability, 3);
      expect(found.tokens.map(({ token }) => token)).toEqual(tokens.map(({ token }) => token));
      expect(found.facts).toMatchObject({ provider: 'wasm', layers: ['relu5'] });
      expect(found.facts.candidates).toBeGreaterThan(3);
      for (const [i, { map }] of [caption, ...tokens].entries())
        expect(furthest(Float32Array.from(found.maps[i]), Float64Array.from(map.data))).toBeLessThan(1e-4);
      const { attention } = tokens[0];
      expect(found.attention?.length).toBe(attention?.data.length);
      if (attention)
        expect(
          furthest(Float32Array.from(found.attention ?? []), Float64Array.from(attention.data)),
        ).toBeLessThan(1e-4);
      expect(served.errors).toEqual([]);
    },
  );

  test('a decoder that goes on with what another has stored gives way to that one, where it is named', async () => {
    const withPast = graphFrom({
      inputs: { input_ids: ['N', 1], 'past_key_values.0.encoder.key': ['N', 1, 'T', 7] },
      types: { input_ids: DataType.INT64 },
      outputs: ['logits'],
      nodes: [['ReduceSum', ['past_key_values.0.encoder.key'], ['logits'], { keepdims: 1 }]],
    });
    served.files.set('/own/encoder.onnx', encoder());
    served.files.set('/own/decoder_with_past_model.onnx', modelFile(withPast).toBytes());
    served.files.set('/own/decoder_model.onnx', wholeDecoder());
    const opened = (options: object) =>
      served.page.evaluate(
        async ([module, own]) => {
          try {
            const captioner = await gradcampp.Captioner.open({
              encoder: '/own/encoder.onnx',
              decoder: '/own/decoder_with_past_model.onnx',
              begin: 0,
              runtime: module,
              ...own,
            });
            const data = Float32Array.from({ length: 768 }, (_, i) => Math.sin(i));
            const picture = { type: 'float32', dims: [1, 3, 16, 16], data } as const;
            const { tokens } = await captioner.explain(picture, { ids: [2, 3] });
            await captioner.close();
            return `${tokens.length} tokens; ${captioner.notes.join(' ')}`;
          } catch (error) {
            return (error as Error).message;
          }
        },
        [runtime, options] as const,
      );
    expect(await opened({})).toMatch(/Give the one without past, decoder_model\.onnx/);
    expect(await opened({ withoutPast: '/own/decoder_model.onnx' })).toMatch(
      /^2 tokens; .*which lies beside it and says the same, is explained/,
    );
  });

  const open = (options: object): Promise<string> =>
    served.page.evaluate(
      async ([module, own, { encoder, decoder }]) => {
        try {
          const captioner = await gradcampp.Captioner.open({
            encoder: `/assets/${encoder}`,
            decoder: `/assets/${decoder}`,
            runtime: module,
            ...own,
          });
          await captioner.explain('/assets/scenes/apple-and-starfish.png', { text: 'a red apple' });
          return 'opened';
        } catch (error) {
          return (error as Error).message;
        }
      },
      [runtime, options, files] as const,
    );

  test.each([
    [{ decoder: undefined }, '"decoder" is missing: give a URL, a Blob or bytes.'],
    [{ decoder: `/assets/${files.encoder}` }, /decoder/],
    [{ tokeniser: 'x' }, /^"tokeniser" is not an option of Captioner\.open\. Closest: "tokenizer"/],
    [
      { tokenizer: '/assets/none.json' },
      /"tokenizer" cannot be read as JSON: Cannot read .*none\.json": the server says 404/,
    ],
    [{ tokenizer: { a: 'b' } }, /^"tokenizer" must be a tokenizer\.json of Hugging Face/],
    [{}, /^"text" \(--text\) needs a tokenizer/],
    [{ tokenizer: ['a', 'red', 'apple'] }, /Which token begins a caption is not known/],
  ])('%o is said to be wrong', async (options, message) => {
    expect(await open(options)).toMatch(message);
    served.errors.length = 0; // the browser tells of the 404
  });
});
