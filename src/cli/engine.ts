import { setFlagsFromString } from 'node:v8';
import { loadAddon } from '../addon.js';

/*
 * V8 for a process whose work is done by native code, its own part being to pass things on. Settings of the process, so
 * the command's to make and not the library's.
 */

/** Pictures in which V8 has seen what runs often: loops over a thousand scores, and over the regions of a map. */
export const warm = 40;

/**
 * Called after so many pictures. Where the addon does the loops over pixels, what V8 would still compile for speed runs
 * once a picture: over thousands of pictures its compilers took 3 % of the processors, and up to 20 MB in their threads. So
 * code has to run 128 times as long as V8 would wait.
 */
export function compileLess(): void {
  if (!('problems' in loadAddon())) setFlagsFromString('--interrupt-budget=8650752');
}

/**
 * What this thread throws away would be let grow to 48 MB before V8 looks, 17 MB after 10,000 pictures. V8 takes this back
 * whenever a thread starts.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
