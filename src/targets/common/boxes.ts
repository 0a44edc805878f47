import type { Box } from '../target.js';

/** How four numbers are a box: centre and size, or two corners, x or y first. */
export const boxFormats = ['cxcywh', 'xyxy', 'yxyx'] as const;
export type BoxFormat = (typeof boxFormats)[number];

/** A box of four numbers, in whatever unit they have. */
export function boxOf([a, b, c, d]: readonly number[], format: BoxFormat): Box {
  if (format === 'cxcywh') return { x: a - c / 2, y: b - d / 2, width: c, height: d };
  const [x, y, right, bottom] = format === 'xyxy' ? [a, b, c, d] : [b, a, d, c];
  return { x, y, width: right - x, height: bottom - y };
}

export function scaled({ x, y, width, height }: Box, across: number, down: number): Box {
  return { x: x * across, y: y * down, width: width * across, height: height * down };
}

/** Shared area over united area; 0 where either has none. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

/**
 * Greedy suppression: the best candidate, then the best of those that overlap none of the chosen ones by more than `most`, and so
 * on, until n are chosen.
 *
 * @param ranks what they are chosen by; those of −∞ never are
 */
export function differentObjects(
  ranks: Float64Array,
  boxAt: (index: number) => Box | undefined,
  { n, most }: { readonly n: number; readonly most: number },
): number[] {
  const left = ranks.slice();
  const chosen: number[] = [];
  while (chosen.length < n) {
    let best = -1;
    for (let i = 0; i < left.length; i++)
      if (left[i] > Number.NEGATIVE_INFINITY && (best < 0 || left[i] > left[best])) best = i;
    if (best < 0) break;
    chosen.push(best);
    left[best] = Number.NEGATIVE_INFINITY;
    if (chosen.length === n) break;
    const box = boxAt(best);
    if (!box) continue;
    for (let i = 0; i < left.length; i++) {
      const other = left[i] === Number.NEGATIVE_INFINITY ? undefined : boxAt(i);
      if (other && overlap(box, other) > most) left[i] = Number.NEGATIVE_INFINITY;
    }
  }
  return chosen;
}
