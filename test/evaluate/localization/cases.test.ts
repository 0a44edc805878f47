import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../../src/evaluate/evaluate.js';
import { openSubject } from '../../../src/evaluate/open.js';
import { measureHere, type Measurer } from '../../../src/evaluate/measurer.js';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));
const isThere = existsSync(join(shared, 'cases'));

describe.skipIf(!isThere)(
  `data sets that were read wrongly${isThere ? '' : ' (skipped: ../shared/cases is missing)'}`,
  () => {
    let folder: string;
    let measurer: Measurer;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'cases-'));
      measurer = measureHere(await openSubject(join(shared, 'models/resnet20_cifar10.onnx')));
    });
    afterAll(async () => {
      await measurer.close();
      await rm(folder, { recursive: true, force: true });
    });
    const localize = async (set: string, boxes: 'yolo' | 'voc' | 'coco' | 'masks') => {
      const { report, images, failures } = await evaluate('localization', {
        model: { ...measurer, close: async () => {} },
        images: [join(shared, 'cases', set)],
        boxes,
        target: 'annotated',
        method: ['grad-cam++'],
        out: join(folder, set),
      });
      return { images, failures, boxes: report?.gallery?.items.map((item) => item.boxes) ?? [] };
    };
    const whole = [[0, 0, 1, 1]];

    it.each([
      ['voc-zero', 'voc'],
      ['bom/coco', 'coco'],
      ['bom/yolo', 'yolo'],
      ['bom/yolo-ws', 'yolo'],
    ] as const)('%s: every box is the whole picture', async (set, boxes) => {
      expect(await localize(set, boxes)).toEqual({
        images: 4,
        failures: [],
        boxes: [whole, whole, whole, whole],
      });
    });

    it('yolo-polygon: the box around the polygon, cut to what the network sees', async () => {
      const { images, boxes } = await localize('yolo-polygon', 'yolo');
      expect(images).toBe(4);
      // 0.2 … 0.8 of each edge; of the 400 × 300 of a.jpg the middle 300 × 300 are seen, at 32 × 32: 30 … 270 of 300.
      [30 / 300, 0.2, 270 / 300, 0.8].forEach((edge, i) =>
        expect(Math.abs((boxes[0]?.[0][i] ?? NaN) - edge)).toBeLessThan(1 / 32),
      );
    });

    it('masks01: masks of 0 and 1 are read', async () => {
      const { images, boxes } = await localize('masks01', 'masks');
      expect(images).toBe(4);
      expect(boxes.length).toBe(4);
    });

    it('same-basename-coco: each picture has the boxes of its own path', async () => {
      const { images, boxes } = await localize('same-basename-coco', 'coco');
      expect(images).toBe(8);
      expect(boxes.slice(0, 4)).toEqual([whole, whole, whole, whole]);
      for (const [[x0, y0, x1, y1]] of boxes.slice(4) as [[number, number, number, number]][])
        expect((x1 - x0) * (y1 - y0)).toBeLessThan(0.1);
    });

    it.each([
      ['yolo-pixels', /labels\/a\.txt:1 must hold fractions of the picture, .* which looks like pixels/],
      ['same-basename-yolo', /labels\/a\.txt could be of ".*\/dogs\/a\.jpg" or of ".*\/not_dogs\/a\.jpg"/],
    ] as const)('%s: one sentence', async (set, message) => {
      await expect(localize(set, 'yolo')).rejects.toThrow(message);
    });
  },
);
