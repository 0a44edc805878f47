import { readFile } from 'node:fs/promises';
import { howToGetDawn, openDawn } from '../../dawn.js';
import type { GradcamppError } from '../../errors.js';
import type { ShaderFile } from './shader-files.js';

export const gpuSource = 'Dawn';
export const howToGetGpu = `${howToGetDawn}; or choose the backend "native" or "reference".`;

/** The source of a shader of this package. */
export function readShader(file: ShaderFile): Promise<string> {
  return readFile(new URL(`../../../shaders/${file}`, import.meta.url), 'utf8');
}

export async function platformGpu(
  unsupported: (reason: string, cause?: unknown) => GradcamppError,
): Promise<GPU> {
  return (await openDawn(unsupported)).gpu;
}
