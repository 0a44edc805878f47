import { animationWriter } from './animation-writer.js';

export const webp = animationWriter('webp', (frames, options) =>
  frames.webp({ ...options, quality: 90, effort: 1 }),
);
