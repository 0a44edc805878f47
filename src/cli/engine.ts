import { setFlagsFromString } from 'node:v8';
import { loadAddon } from '../addon.js';

/*
 * V8 for a process whose work is done by native code, its own part being to pass things on. Settings of the process, so
 * the command's to make and not the library's.
 */

/**
 * Where the addon does the loops over pixels, code is compiled for speed only once it has run 32 times as long as V8 would
 * wait: its compilers took 3 % of the processors, and up to 20 MB in their threads, over the first thousands of pictures.
 */
export function compileLate(): void {
  if (!('problems' in loadAddon())) setFlagsFromString('--interrupt-budget=2162688');
}

/**
 * What this thread throws away would be let grow to 48 MB before V8 looks, 17 MB after 10,000 pictures. V8 takes this back
 * whenever a thread starts.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}
