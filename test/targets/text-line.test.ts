import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type LineExplained,
  lineSize,
  readerFiles,
  readerInput,
  readingEnergy,
} from '../../scripts/assets/energy.js';
import { drawLine } from '../../scripts/assets/lettering.js';
import { Random } from '../../scripts/assets/random.js';
import { Explainer } from '../../src/batch/explainer.js';

/** A real reader of text, PP-OCRv4, on drawn lines; docs/evaluation.md has the numbers of many. */
describe('characters of a line', () => {
  const { model, alphabet } = readerFiles();
  const methods = ['layer-cam', 'hires-cam', 'grad-cam', 'grad-cam++'] as const;
  let explainer: Explainer;
  let found: LineExplained[];
  beforeAll(async () => {
    explainer = await Explainer.open(model, {
      backend: 'reference',
      threads: 1,
      preprocess: { input: readerInput },
    });
    found = [];
    for (const seed of [0, 1, 2]) found.push(await readingEnergy(explainer, seed, methods, alphabet));
  });
  afterAll(() => explainer.close());

  test('are read', async () => {
    for (const { read, written } of found) expect(read / written).toBeGreaterThan(0.8);
    const line = await drawLine('RIVER 27', new Random(4), lineSize);
    const [{ targets }] = await explainer.explain(
      { data: line.pixels, channels: 3, ...lineSize },
      { targets: { kind: 'reading', alphabet } },
    );
    const [whole, ...characters] = targets;
    expect(whole.target.name).toContain('RIVER 27');
    expect(targets.map(({ method }) => method)).toEqual(['grad-cam', ...characters.map(() => 'layer-cam')]);
    expect(characters.map(({ target }) => target.name).join('')).toBe(whole.target.name);
  });

  test('are where the maps of methods that weigh positions lie, and not those of Grad-CAM++', () => {
    for (const { characters } of found) {
      const { area, energy } = characters;
      const [layerCam, hiResCam, , plus] = energy;
      expect(area).toBeLessThan(0.15);
      expect(layerCam).toBeGreaterThan(0.9);
      expect(hiResCam).toBeGreaterThan(0.7);
      expect(plus).toBeLessThan(3 * area);
    }
  });

  test('together are where the map of the line lies by Grad-CAM, and not by LayerCAM', () => {
    for (const { line } of found) {
      const [layerCam, , gradCam] = line.energy;
      expect(gradCam).toBeGreaterThan(line.area);
      expect(layerCam).toBeLessThan(line.area);
    }
  });
});
