import { regions } from '../../../image/regions.js';
import type { Box } from '../../annotations/region.js';
import { percent, plain } from '../../metric.js';
import type { LocalizationMetric, Place } from '../place.js';

/** IoU of the box that the map proposes with the best of the true boxes; 0 without a proposal. */
export function boxIoU(threshold: number): LocalizationMetric {
  return {
    key: 'boxIoU',
    name: 'Box IoU',
    hint: `the box around the largest region ≥ ${threshold} of the maximum, against the best true box`,
    definition:
      'the box around the largest region of at least 15 % of the maximum, against the best true box',
    column: 'box IoU',
    better: 'higher',
    ...plain,
    byChance: 'a box around the whole input, as noise proposes: the share of the largest true box',
    chance: largestShare,
    measure: ({ data }, place) => bestIoU(data, place, threshold),
  };
}

/** Whether that IoU is at least 0.5. */
export function boxFound(threshold: number): LocalizationMetric {
  return {
    key: 'boxFound',
    name: 'Boxes found',
    hint: 'pictures with a box IoU of at least 0.5',
    definition: 'share of pictures whose box IoU is at least 0.5',
    better: 'higher',
    ...percent,
    byChance: 'a box around the whole input: the pictures at least half of which one true box covers',
    chance: (place) => (largestShare(place) >= 0.5 ? 1 : 0),
    measure: ({ data }, place) => (bestIoU(data, place, threshold) >= 0.5 ? 1 : 0),
  };
}

function bestIoU(map: Float32Array, { boxes, width }: Place, threshold: number): number {
  const proposal = proposeBox(map, width, threshold);
  return proposal ? Math.max(...boxes.map((box) => iouOf(proposal, box))) : 0;
}

function largestShare({ boxes, width, inside }: Place): number {
  const input = { x0: 0, y0: 0, x1: width, y1: inside.length / width };
  return Math.max(...boxes.map((box) => iouOf(input, box)));
}

/** Plain intersection over union of two boxes, 0 … 1. */
export function iouOf(a: Box, b: Box): number {
  const width = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const height = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  if (!(width > 0 && height > 0)) return 0;
  const intersection = width * height;
  const area = (box: Box): number => (box.x1 - box.x0) * (box.y1 - box.y0);
  return intersection / (area(a) + area(b) - intersection);
}

/**
 * The box a map proposes: around the largest region of values of at least `threshold` of its maximum, the rule of
 * weakly supervised localisation (Zhou et al., arXiv 1512.04150; 15 % as in Grad-CAM). None where the map is empty.
 */
export function proposeBox(map: Float32Array, width: number, threshold = 0.15): Box | undefined {
  const [largest] = regions(map, [map.length / width, width], { threshold });
  return (
    largest && { x0: largest.x, y0: largest.y, x1: largest.x + largest.width, y1: largest.y + largest.height }
  );
}
