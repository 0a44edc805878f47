import { animationWriter } from './animation-writer.js';

export const gif = animationWriter('gif', (frames, options) => frames.gif(options));
