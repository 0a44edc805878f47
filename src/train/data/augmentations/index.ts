import type { Augmentation } from './augmentation.js';
import { colour } from './colour.js';
import { crop } from './crop.js';
import { cutout } from './cutout.js';
import { flip } from './flip.js';

/** Every augmentation, in the order in which they are applied. */
export const augmentations: readonly Augmentation[] = [crop, flip, colour, cutout];

/** Those that move what is in a picture. They come first, so that a mask is moved by the same numbers. */
export const geometric = [crop, flip].map(({ name }) => name);

export const augmentationNames = augmentations.map(({ name }) => name);
