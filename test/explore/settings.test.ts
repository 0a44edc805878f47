import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { commandFor } from '../../src/explore/page/command.js';
import { colormaps } from '../../src/image/colormap.js';
import { methodNames } from '../../src/methods/index.js';
import { initial, linkOf, type Settings, settingsOf } from '../../src/explore/page/settings.js';

const names = fc.string({ unit: 'grapheme', maxLength: 20 });
const share = fc.integer({ min: 0, max: 1000 }).map((value) => value / 1000);
const place = fc.nat(9999);
const settings: fc.Arbitrary<Settings> = fc.record({
  model: names,
  picture: names,
  target: names,
  text: names,
  word: fc.option(place, { nil: undefined }),
  methods: fc.uniqueArray(fc.constantFrom('grad-cam++', 'grad-cam', 'rise'), { minLength: 1 }),
  layer: names,
  opacity: share,
  threshold: share,
  swipe: share,
  colormap: fc.constantFrom('viridis', 'turbo'),
  boxes: fc.boolean(),
  at: fc.option(fc.tuple(place, place), { nil: undefined }),
  channel: fc.option(place, { nil: undefined }),
  brush: fc.constantFrom('delete', 'keep'),
  size: share,
  strokes: fc.array(
    fc.record({
      radius: place,
      points: fc.array(fc.tuple(place, place), { minLength: 1 }).map((points) => points.flat()),
    }),
  ),
  remap: fc.boolean(),
});

test('a link holds all settings', () => {
  fc.assert(
    fc.property(settings, (own) => {
      expect(settingsOf(`#${linkOf(own)}`)).toEqual(own);
    }),
  );
  expect(linkOf(initial)).toBe('');
});

test('a link that was written by anyone gives settings that can be shown', () => {
  const keys = Object.keys(initial);
  const links = fc.array(fc.tuple(fc.constantFrom(...keys, '__proto__', 'x'), fc.string()));
  fc.assert(
    fc.property(links, (pairs) => {
      const own = settingsOf(new URLSearchParams(pairs).toString());
      expect(Object.keys(own).sort()).toEqual(keys.toSorted());
      for (const value of [own.opacity, own.threshold, own.swipe, own.size])
        expect(value >= 0 && value <= 1).toBe(true);
      for (const { points } of own.strokes) expect(points.every(Number.isSafeInteger)).toBe(true);
      expect(own.methods.length).toBeGreaterThan(0);
      expect(methodNames).toEqual(expect.arrayContaining([...own.methods]));
      expect(colormaps).toContain(own.colormap);
    }),
  );
});

test.skipIf(process.platform === 'win32')(
  'a shell reads the command as it is meant, whatever files are called',
  () => {
    const files = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
      .filter((name) => !name.includes('\0'));
    fc.assert(
      fc.property(files, files, files, (picture, model, layer) => {
        const line = commandFor({ ...initial, layer, target: 'class 3' }, { picture, model });
        const words = execFileSync('sh', ['-c', line.replace('gradcampp', 'printf "%s\\0"')])
          .toString()
          .split('\0');
        expect(words.slice(0, 8)).toEqual([
          'explain',
          picture.startsWith('-') ? `./${picture}` : picture,
          '--model',
          model,
          '--class',
          'class 3',
          '--layer',
          layer,
        ]);
      }),
      { numRuns: 40 },
    );
  },
);
