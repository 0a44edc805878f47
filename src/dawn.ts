import { messageOf } from './errors.js';

/** Where WebGPU comes from in Node.js. */
export const howToGetDawn =
  'Install a Vulkan driver for the GPU (on Linux also its loader, libvulkan1), or for tests the software GPU SwiftShader ' +
  '(set VK_DRIVER_FILES to its vk_swiftshader_icd.json and LD_LIBRARY_PATH to its folder)';

export interface Dawn {
  /** Must be held as long as a device of it is in use. */
  readonly gpu: GPU;
  /** What browsers have as globals: GPUDevice, GPUBufferUsage and so on. */
  readonly globals: Readonly<Record<string, { readonly prototype: object }>>;
}

/**
 * Dawn, loaded only now: it is large, and not every platform has a build of it.
 *
 * @param unsupported makes the error of a reason why it cannot be had, the end of a sentence
 */
export async function openDawn(unsupported: (reason: string, cause?: unknown) => Error): Promise<Dawn> {
  if (process.platform === 'linux' && !hasVulkanLoader())
    throw unsupported('there is no Vulkan loader (libvulkan.so.1)');
  try {
    const { create, globals } = await import('webgpu');
    return { gpu: create([]), globals: globals as Dawn['globals'] };
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
