import { avif } from './avif.js';
import type { Decoder } from './decoder.js';
import { gif } from './gif.js';
import { jpeg } from './jpeg.js';
import { png } from './png.js';
import { tiff } from './tiff.js';
import { webp } from './webp.js';

/** Every format that is read. */
export const decoders: readonly Decoder[] = [png, jpeg, webp, gif, tiff, avif];
