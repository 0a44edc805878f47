import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadAddon } from '../addon.js';

/*
 * V8 for a process whose work is done by native code in several threads, its own part being to pass things on. Settings of
 * the process, so the command's to make and not the library's.
 */

/**
 * Before the workers start: what they run is compiled in their own threads. Compilers elsewhere take no less of processors
 * that are all busy, and 5 to 10 MB more. (Other flags of V8 that concern threads end the process when they are set late.)
 */
export function compileInPlace(): void {
  setFlagsFromString('--no-concurrent-recompilation');
}

/**
 * What this thread throws away would be let grow to 48 MB before V8 looks, 17 MB after 10,000 pictures. V8 takes this back
 * whenever a thread starts.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Pictures whose listing leaves so much behind that it is worth collecting. */
const many = 1000;

/** What the listing of the pictures left behind, 4 MB of 10,000, V8 would keep until that much again was thrown away. */
export function collectListing(pictures: number): void {
  if (pictures <= many) return;
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
}

/** Pictures in which V8 has seen what runs often: loops over a thousand scores, and over the regions of a map. */
const warm = 40;

/**
 * Called after every picture. Where the addon does the loops over pixels, what V8 would still compile for speed after the
 * first ones runs once a picture: over thousands of pictures its compilers took 3 % of the processors. So code has to run
 * 128 times as long as V8 would wait.
 */
export function compileLess(pictures: number): void {
  if (pictures === warm && !('problems' in loadAddon())) setFlagsFromString('--interrupt-budget=8650752');
}
