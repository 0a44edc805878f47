import type { Augmentation } from './augmentation.js';

/** Moved by up to an eighth of the side in each direction (4 of 32 pixels), black where nothing is known. */
export const crop: Augmentation = {
  name: 'crop',
  help: 'moved by up to an eighth of the side, black beyond the edge',
  apply: ({ data, height, width }, random, out) => {
    const [down, across] = [height, width].map((side) => {
      const most = Math.round(side / 8);
      return random.below(2 * most + 1) - most;
    });
    out.fill(0);
    const left = Math.max(0, -across);
    const right = Math.min(width, width - across);
    for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
      const from = ((y + down) * width + left + across) * 3;
      out.set(data.subarray(from, from + (right - left) * 3), (y * width + left) * 3);
    }
  },
};
