import { expect, test } from 'vitest';
import { loadAddon } from '../../src/addon.js';
import { colormapTable } from '../../src/image/colormap.js';
import { type Kernels, nativeKernels, typescriptKernels } from '../../src/image/kernels.js';
import { digest } from './pictures.js';

const addon = loadAddon();
const native = nativeKernels(addon);
const required = (process.env.REQUIRE_BACKENDS ?? '').split(',').includes('native');
const reason = native
  ? ''
  : ` (skipped: ${'problems' in addon ? addon.problems.join('; ') : 'it is an older build'})`;

let state = 11;
function whole(from: number, to: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return from + Math.floor((state / 2 ** 32) * (to - from + 1));
}

/** Random bytes in the middle of a larger array, as a caller's slice may be. */
function bytes(length: number): Uint8Array {
  const before = whole(0, 5);
  return Uint8Array.from({ length: length + before + 3 }, () => whole(0, 255)).subarray(
    before,
    before + length,
  );
}

function floats(length: number): Float32Array {
  const before = whole(0, 3);
  const odd = [Number.NaN, -0.5, 1.5, 0, 1];
  return Float32Array.from({ length: length + before }, () =>
    whole(0, 50) ? whole(0, 1000) / 1000 : odd[whole(0, 4)],
  ).subarray(before);
}

test.skipIf(!native && !required)(
  `the addon's kernels give the bits of ours: 500 random calls of each${reason}`,
  () => {
    expect(native).toBeDefined();
    const same = <K extends keyof Kernels>(name: K, ...args: Parameters<Kernels[K]>) => {
      const call = (kernels: Kernels) => (kernels[name] as (...args: unknown[]) => ArrayBufferView)(...args);
      expect(digest(call(native as Kernels))).toBe(digest(call(typescriptKernels)));
    };
    for (let round = 0; round < 500; round++) {
      const [width, height, channels] = [whole(1, 40), whole(1, 40), whole(0, 1) ? 3 : 1];
      const source = bytes(width * height * channels);
      const [toWidth, toHeight] = [whole(0, 4) ? whole(1, 60) : width, whole(0, 4) ? whole(1, 60) : height];
      const [x, y] = [whole(0, toWidth - 1), whole(0, toHeight - 1)];
      const window = { x, y, width: whole(1, toWidth - x), height: whole(1, toHeight - y) };
      const plan = { width: toWidth, height: toHeight, window };
      same('resizePillow', source, width, height, channels, plan, 'bilinear');
      same('resizePillow', source, width, height, channels, plan, 'bicubic');
      same('resizeTorchBilinear', source, width, height, channels, plan);

      const order = channels === 1 ? [0] : [2, 1, 0].slice(0, channels);
      const steps = {
        range: whole(0, 1) ? (1 as const) : (255 as const),
        mean: order.map(() => whole(0, 900) / 999),
        std: order.map(() => whole(1, 900) / 999),
        order,
      };
      const values = whole(0, 1) ? source : Float32Array.from(source, (value) => value * 0.731);
      for (const name of ['normalizeToCHW', 'normalizeToHWC'] as const) {
        const [expected, actual] = [new Float32Array(values.length), new Float32Array(values.length)];
        typescriptKernels[name](values, steps, expected);
        (native as Kernels)[name](values, steps, actual);
        expect(digest(actual)).toBe(digest(expected));
      }

      const [w, h, left, top] = [whole(1, 20), whole(1, 20), whole(0, width), whole(0, height)];
      const box = { left, top, width: whole(0, width - left), height: whole(0, height - top) };
      const over = {
        x: whole(-90, 90) / 7,
        y: whole(-90, 90) / 7,
        width: whole(1, 400) / 9,
        height: whole(1, 400) / 9,
      };
      const map = Float32Array.from({ length: w * h }, () => whole(0, 1000) / 1000);
      same('stretchMap', map, [h, w], over, box);
      same('salientRuns', map, w, whole(0, 20) / 20);
      same('salientRuns', floats(w * h), w, whole(0, 10) / 10);
      same(
        'salientRuns',
        map.map((value) => value - 2),
        w,
        0.5,
      );

      const picture = bytes(width * height * 3);
      const shown = floats(box.width * box.height);
      const [expected, actual] = [new Uint8Array(picture.length), new Uint8Array(picture.length)];
      const [opacity, outside] = [whole(0, 100) / 100, whole(0, 100) / 100];
      typescriptKernels.blend(picture, width, box, shown, colormapTable('turbo'), opacity, outside, expected);
      (native as Kernels).blend(picture, width, box, shown, colormapTable('turbo'), opacity, outside, actual);
      expect(digest(actual)).toBe(digest(expected));
    }
  },
);

test('an addon without them is passed over', () => {
  expect(nativeKernels({ problems: ['none'] })).toBeUndefined();
  expect(nativeKernels({ interfaceVersion: 2, Pool: Object })).toBeUndefined();
  expect(nativeKernels({ ...typescriptKernels })).toEqual(typescriptKernels);
});
