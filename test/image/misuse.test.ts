import { expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { decodeImage } from '../../src/image/decode.js';
import { encodePng } from '../../src/image/encode.js';
import { encodeNpy, readNpy } from '../../src/image/npy.js';
import { drawCutout, drawHeat, drawMap, drawOverlay } from '../../src/image/overlay.js';
import { regions } from '../../src/image/regions.js';

/** What a JavaScript caller may pass where it should not. */
const wrong = [undefined, null, 5, '', 'foo', true, {}, [], Number.NaN, () => 1, Symbol('x'), 10n] as never[];

const picture = { data: new Uint8Array(12), width: 2, height: 2, channels: 3 as const };
const map = { data: new Float32Array(4), dims: [2, 2] };

const calls: Record<string, (value: never) => unknown> = {
  'drawOverlay picture': (value) => drawOverlay(value, map),
  'drawOverlay map': (value) => drawOverlay(picture, value),
  'drawCutout picture': (value) => drawCutout(value, map),
  drawMap: (value) => drawMap(value),
  drawHeat: (value) => drawHeat(value),
  encodePng: (value) => encodePng(value),
  encodeNpy: (value) => encodeNpy(value),
  'regions map': (value) => regions(value, [2, 2]),
  'regions dims': (value) => regions(map.data, value),
  readNpy: (value) => readNpy(value),
  decodeImage: (value) => decodeImage(value),
};

test.each(Object.entries(calls))('%s refuses what is none, in one sentence', async (_, call) => {
  for (const value of wrong) {
    const error = await (async () => call(value))().catch((cause: unknown) => cause);
    expect(error, String(value)).toBeInstanceOf(GradcamppError);
    expect((error as Error).message.split('\n')).toHaveLength(1);
  }
});

test('geometry is a rectangle', () => {
  for (const geometry of [5, 'foo', {}, [], { x: 0, y: 0, width: 2 }, { x: 0, y: 0, width: 0, height: 1 }])
    expect(() => drawOverlay(picture, map, { geometry } as never)).toThrow(/^"geometry" must be a rectangle/);
});

test('what cannot be drawn is named', () => {
  expect(() => drawMap({ data: new Float32Array(8), dims: [2, 2, 2] })).toThrow(
    'A map of dims [2, 2, 2] cannot be drawn, only one of [h, w]; save its numbers instead (--save npy).',
  );
  const grey = { data: new Uint8Array(4), width: 2, height: 2, channels: 1 };
  expect(() => drawOverlay(grey as never, map)).toThrow('"picture.channels" must be 3');
});

test('bytes without a name are called the picture', async () => {
  await expect(decodeImage(Buffer.from('hello'))).rejects.toThrow(
    /^The picture cannot be read as a picture: it does not begin like a picture file/,
  );
});
