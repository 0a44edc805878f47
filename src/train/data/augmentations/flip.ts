import type { Augmentation } from './augmentation.js';

/** Left and right exchanged, of every other picture by chance. */
export const flip: Augmentation = {
  name: 'flip',
  help: 'left and right exchanged, of half of the pictures',
  apply: ({ data, height, width }, random, out) => {
    if (random.below(2) === 0) return out.set(data);
    for (let y = 0; y < height; y++)
      for (let x = 0, to = y * width * 3, from = to + (width - 1) * 3; x < width; x++, to += 3, from -= 3) {
        out[to] = data[from];
        out[to + 1] = data[from + 1];
        out[to + 2] = data[from + 2];
      }
  },
};
