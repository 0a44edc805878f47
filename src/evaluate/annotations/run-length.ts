import type { AnnotatedBox } from './annotation.js';

/** A mask as COCO writes it: lengths of runs of 0 and 1 in turn, down the columns; as numbers, or packed in text. */
export interface RunLengths {
  /** Height and width. */
  readonly size: readonly [number, number];
  readonly counts: readonly number[] | string;
}

/** The box around what such a mask marks; undefined where it marks nothing, or is damaged. */
export function boxOfRuns({ size: [height, width], counts }: RunLengths): AnnotatedBox | undefined {
  const runs = typeof counts === 'string' ? unpack(counts) : counts;
  let [x0, y0, x1, y1] = [Infinity, Infinity, 0, 0];
  let position = 0;
  for (const [i, run] of (runs ?? []).entries()) {
    if (!(Number.isSafeInteger(run) && run >= 0) || position + run > height * width) return undefined;
    if (i % 2 === 1 && run > 0) {
      const last = position + run - 1;
      const [from, to] = [Math.floor(position / height), Math.floor(last / height)];
      x0 = Math.min(x0, from);
      x1 = Math.max(x1, to + 1);
      y0 = Math.min(y0, to > from ? 0 : position % height);
      y1 = Math.max(y1, to > from ? height : (last % height) + 1);
    }
    position += run;
  }
  return x1 > 0 ? { x0, y0, x1, y1 } : undefined;
}

/**
 * Packed counts: five bits a character from "0" on, the sixth says that more follow, the first of a number's last group is its
 * sign; from the third count on, the difference to the count before the last (`rleFrString` of the COCO API).
 */
function unpack(text: string): number[] | undefined {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let scale = 1;
    let group: number;
    do {
      group = text.charCodeAt(at++) - 48;
      if (!(group >= 0 && group < 64) || scale > 2 ** 35) return undefined;
      value += (group & 31) * scale;
      scale *= 32;
    } while (group & 32);
    if (group & 16) value -= scale;
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}
