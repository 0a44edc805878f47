import type { Augmentation } from './augmentation.js';

/** Each of red, green and blue by a factor of 0.8 … 1.2 around the middle grey, and lighter or darker by up to 10 %. */
export const colour: Augmentation = {
  name: 'colour',
  help: 'contrast of each colour by up to 20 %, brightness by up to 10 %',
  apply: ({ data }, random, out) => {
    const shift = (random.uniform() - 0.5) * 51;
    const factors = [0, 1, 2].map(() => 0.8 + 0.4 * random.uniform());
    for (let i = 0; i < data.length; i++) {
      const value = (data[i] - 127.5) * factors[i % 3] + 127.5 + shift;
      out[i] = Math.min(Math.max(Math.round(value), 0), 255);
    }
  },
};
