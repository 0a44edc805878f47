import type { ClipSource } from '../clip.js';
import { animation } from './animation.js';
import { video } from './video.js';

/** Every kind of file that clips are read from. */
export const clipSources: readonly ClipSource[] = [animation, video];

/** Extensions that a folder of clips is searched for, in lower case. */
export const clipExtensions: readonly string[] = clipSources.flatMap(({ extensions }) => extensions);
