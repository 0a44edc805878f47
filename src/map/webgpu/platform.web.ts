import type { GradcamppError } from '../../errors.js';
import type { ShaderFile } from './shader-files.js';
import stage from '../../../shaders/map.wgsl';
import overlay from '../../../shaders/overlay.wgsl';
import plain from '../../../shaders/teams.wgsl';
import subgroups from '../../../shaders/teams_subgroups.wgsl';

/** In a page shaders are in the bundle, and the GPU is the browser's; see platform.ts. */
export const gpuSource = 'the browser';
export const howToGetGpu =
  'Open the page from https: or localhost in a browser that has WebGPU switched on, or choose the backend "reference".';

const sources: Readonly<Record<ShaderFile, string>> = {
  'map.wgsl': stage,
  'teams.wgsl': plain,
  'teams_subgroups.wgsl': subgroups,
  'overlay.wgsl': overlay,
};

export async function readShader(file: ShaderFile): Promise<string> {
  return sources[file];
}

export async function platformGpu(
  unsupported: (reason: string, cause?: unknown) => GradcamppError,
): Promise<GPU> {
  if (!globalThis.navigator?.gpu) throw unsupported('this page has no WebGPU');
  return globalThis.navigator.gpu;
}
