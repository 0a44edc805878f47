import type { Augmentation } from './augmentation.js';

/** A grey square of a quarter of the side somewhere, DeVries and Taylor, arXiv 1708.04552; its middle lies in the picture. */
export const cutout: Augmentation = {
  name: 'cutout',
  help: 'a grey square of a quarter of the side',
  apply: ({ data, height, width }, random, out) => {
    out.set(data);
    const side = Math.round(Math.min(height, width) / 4);
    const [top, left] = [height, width].map((length) => random.below(length) - Math.floor(side / 2));
    const [first, last] = [Math.max(left, 0), Math.min(left + side, width)];
    for (let y = Math.max(top, 0); y < Math.min(top + side, height); y++)
      out.fill(128, (y * width + first) * 3, (y * width + last) * 3);
  },
};
