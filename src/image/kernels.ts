import { loadAddon } from '../addon.js';
import { blend, stretchMap } from './blend.js';
import { normalizeToCHW, normalizeToHWC } from './normalize.js';
import { resizePillow, resizeTorchBilinear } from './resize.js';
import { salientRuns } from './runs.js';

/** The specification of the inner loops of pictures. */
export const typescriptKernels = {
  resizePillow,
  resizeTorchBilinear,
  normalizeToCHW,
  normalizeToHWC,
  stretchMap,
  blend,
  salientRuns,
};

/** The addon exports functions of these names, with these arguments, that give the same bits. */
export type Kernels = typeof typescriptKernels;

let chosen: Kernels | undefined;

/** The addon's where one loads; otherwise those in TypeScript. Loaded at the first call. */
export function kernels(): Kernels {
  chosen ??= nativeKernels() ?? typescriptKernels;
  return chosen;
}

/** The addon's, or undefined where none loads or one was built before it had them. */
export function nativeKernels(addon: object = loadAddon()): Kernels | undefined {
  return Object.keys(typescriptKernels).every((name) => name in addon) ? (addon as Kernels) : undefined;
}
