import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Captioner } from '../../src/caption/captioner.js';
import { CaptionNetwork } from '../../src/caption/caption-network.js';
import { readParts } from '../../src/caption/read-parts.js';
import { readNpy } from '../../src/image/npy.js';
import type { Tensor } from '../../src/tensor.js';
import { furthest, gradientOf } from '../targets/support.js';

const oracle = fileURLToPath(new URL('../../../shared/oracle-targets/', import.meta.url));
const methods = ['grad-cam++', 'grad-cam', 'layer-cam'] as const;

async function numbers(path: string): Promise<Float64Array> {
  return Float64Array.from((await readNpy(path)).data as Float32Array, Number);
}

/** The n-th of two pictures. */
function pictureOf({ data }: Tensor<'float32'>, n: number): Float32Array {
  return data.subarray((n * data.length) / 2, ((n + 1) * data.length) / 2);
}

/** Values and maps of the caption and every token, as PyTorch's autograd gives them in float64. */
describe.each(['caption_lstm', 'caption_transformer'])('the captioner "%s" of PyTorch', (name) => {
  const folder = `${oracle}${name}/`;
  const greedy: number[] = [];
  const files = { encoder: `${folder}encoder_model.onnx`, decoder: `${folder}decoder_model.onnx` };

  test.skipIf(!existsSync(folder))('values and maps (needs ../shared/oracle-targets)', async () => {
    const { layer, ids } = JSON.parse(readFileSync(`${folder}case.json`, 'utf8'));
    await using captioner = await Captioner.open({ ...files, layer, backend: 'reference' });
    const input = (await readNpy(`${folder}input.npy`)) as Tensor<'float32'>;
    const values = await numbers(`${folder}values.npy`);
    const maps = await Promise.all(methods.map((method) => numbers(`${folder}${method}.map.npy`)));
    for (const [n, own] of (ids as number[][]).entries()) {
      const picture = { ...input, dims: input.dims.with(0, 1), data: pictureOf(input, n) };
      const { tokens, caption } = await captioner.explain(picture, { ids: own, method: methods });
      const explained = [caption, ...tokens];
      expect(explained).toHaveLength(own.length);
      for (const [t, { logProbability, methods: made }] of explained.entries()) {
        const value = values[n * own.length + t];
        expect(Math.abs(logProbability - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
        for (const [m, { method, map }] of made.entries()) {
          expect(method).toBe(methods[m]);
          const at = (n * own.length + t) * map.data.length;
          expect(furthest(map.data, maps[m].subarray(at, at + map.data.length))).toBeLessThan(1e-4);
        }
      }
      expect(tokens.map(({ id }) => id)).toEqual(own.slice(1));
    }
  });

  test.skipIf(!existsSync(folder))('says the greedy caption (needs ../shared/oracle-targets)', async () => {
    const { begin, ids } = JSON.parse(readFileSync(`${folder}case.json`, 'utf8'));
    await using captioner = await Captioner.open({ ...files, begin });
    const input = (await readNpy(`${folder}input.npy`)) as Tensor<'float32'>;
    for (const [n, own] of (ids as number[][]).entries()) {
      const picture = { ...input, dims: input.dims.with(0, 1), data: pictureOf(input, n) };
      for (const beams of [1, 3]) {
        const { tokens, caption } = await captioner.explain(picture, { maxLength: own.length - 1, beams });
        if (beams === 1) expect(tokens.map(({ id }) => id)).toEqual(own.slice(1));
        else expect(caption.logProbability).toBeGreaterThanOrEqual(greedy[n] - 1e-5);
        expect(caption).toMatchObject({ isGiven: false, text: tokens.map(({ id }) => id).join(' ') });
        greedy[n] ??= caption.logProbability;
      }
    }
  });

  test.skipIf(!existsSync(folder))('gradients (needs ../shared/oracle-targets)', async () => {
    const { layer, ids } = JSON.parse(readFileSync(`${folder}case.json`, 'utf8'));
    const parts = await readParts({ ...files, layer, backend: 'reference' });
    const network = await CaptionNetwork.open(parts, ids[0].length - 1);
    const input = (await readNpy(`${folder}input.npy`)) as Tensor<'float32'>;
    const expected = await numbers(`${folder}gradients.npy`);
    const size = expected.length / 2 / ids[0].length;
    for (const [n, own] of (ids as number[][]).entries()) {
      const feeds = await network.feeds(own.slice(0, -1));
      for (const t of own.keys()) {
        const part = t === 0 ? 'caption' : t - 1;
        const target = { kind: 'caption', ids: own.slice(1), part } as const;
        const gradient = await gradientOf(network.explainer, input, { n, target, feeds });
        const at = (n * own.length + t) * size;
        const wanted = expected.subarray(at, at + size);
        const most = wanted.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        expect(furthest(gradient, wanted)).toBeLessThanOrEqual(1e-5 * most);
      }
    }
    await network.explainer.close();
  });
});
