import { readFile } from 'node:fs/promises';
import { type GradcamppError, messageOf } from '../../errors.js';
import type { ShaderFile } from './shader-files.js';

export const gpuSource = 'Dawn';
export const howToGetGpu =
  'Install a Vulkan driver for the GPU (on Linux also its loader, libvulkan1), or for tests the software GPU SwiftShader ' +
  '(set VK_DRIVER_FILES to its vk_swiftshader_icd.json and LD_LIBRARY_PATH to its folder); ' +
  'or choose the backend "native" or "reference".';

/** The source of a shader of this package. */
export function readShader(file: ShaderFile): Promise<string> {
  return readFile(new URL(`../../../shaders/${file}`, import.meta.url), 'utf8');
}

/** Dawn, loaded only now: it is large, and not every platform has a build of it. */
export async function platformGpu(
  unsupported: (reason: string, cause?: unknown) => GradcamppError,
): Promise<GPU> {
  if (process.platform === 'linux' && !hasVulkanLoader())
    throw unsupported('there is no Vulkan loader (libvulkan.so.1)');
  try {
    const { create } = await import('webgpu');
    return create([]);
  } catch (error) {
    throw unsupported(`the package "webgpu" cannot be loaded: ${messageOf(error)}`, error);
  }
}

/**
 * Dawn says so on stderr when it does not find the loader; asking the system first keeps that quiet. A library that is
 * no addon is always refused, and which refusal it is says whether it was found.
 */
function hasVulkanLoader(): boolean {
  try {
    process.dlopen({ exports: {} }, 'libvulkan.so.1');
    return true;
  } catch (error) {
    return !messageOf(error).includes('cannot open shared object file');
  }
}
