import { GradcamppError, messageOf } from '../../errors.js';

/** What computes, by the driver's own words. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** Whether the "GPU" is a program on the CPU (SwiftShader, lavapipe, WARP). */
  readonly software: boolean;
  /** Whether the kernel with subgroup operations is the one in use. */
  readonly subgroups: boolean;
}

export interface DeviceOptions {
  /** Whether to use subgroup operations. Default: where the adapter has them. */
  readonly subgroups?: boolean;
  /** Whether to ask for timestamp queries; an adapter without them is then an error. Default false. */
  readonly timestamps?: boolean;
  /** Where adapters come from. Default: Dawn, through the package `webgpu`. */
  readonly gpu?: GPU;
}

export interface OpenDevice {
  /** Must be held as long as the device is: Dawn ends with it. */
  readonly gpu: GPU;
  readonly device: GPUDevice;
  readonly adapter: AdapterDescription;
}

const howToGetOne =
  'Install a Vulkan driver for the GPU (on Linux also its loader, libvulkan1), or for tests the software GPU SwiftShader ' +
  '(set VK_DRIVER_FILES to its vk_swiftshader_icd.json and LD_LIBRARY_PATH to its folder); ' +
  'or choose the backend "native" or "reference".';

/** A GPU of this machine, or of `options.gpu`, with the largest buffers that it allows. */
export async function openDevice(options: DeviceOptions): Promise<OpenDevice> {
  const gpu = options.gpu ?? (await loadDawn());
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    throw unsupported(`asking for one failed: ${messageOf(error)}`, error);
  }
  if (!adapter) throw unsupported('Dawn found none');

  const subgroups = options.subgroups ?? adapter.features.has('subgroups');
  const features: GPUFeatureName[] = [];
  if (subgroups) features.push('subgroups');
  if (options.timestamps) features.push('timestamp-query');
  for (const feature of features)
    if (!adapter.features.has(feature))
      throw new GradcamppError(
        'UNSUPPORTED_BACKEND',
        `The GPU "${adapter.info.description || adapter.info.vendor}" does not have the feature "${feature}". Leave out the option that asks for it.`,
      );
  const { limits, info } = adapter;
  const device = await adapter.requestDevice({
    label: 'gradcampp',
    requiredFeatures: features,
    requiredLimits: {
      maxBufferSize: limits.maxBufferSize,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    },
  });
  const { vendor, architecture, device: name, description } = info;
  return {
    gpu,
    device,
    adapter: { vendor, architecture, device: name, description, software: isSoftware(info), subgroups },
  };
}

function isSoftware(info: GPUAdapterInfo): boolean {
  const names = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return (
    info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i.test(names)
  );
}

/** Dawn, loaded only now: it is large, and not every platform has a build of it. */
async function loadDawn(): Promise<GPU> {
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

function unsupported(reason: string, cause?: unknown): GradcamppError {
  return new GradcamppError(
    'UNSUPPORTED_BACKEND',
    `The backend "webgpu" needs a GPU adapter, and ${reason}. ${howToGetOne}`,
    { cause },
  );
}
