import { GradcamppError, messageOf } from '../../errors.js';
import { gpuSource, howToGetGpu, platformGpu } from './platform.js';

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

/** A GPU of this machine, or of `options.gpu`, with the largest buffers that it allows. */
export async function openDevice(options: DeviceOptions): Promise<OpenDevice> {
  const gpu = options.gpu ?? (await platformGpu(unsupported));
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    throw unsupported(`asking for one failed: ${messageOf(error)}`, error);
  }
  if (!adapter) throw unsupported(`${gpuSource} found none`);

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

/** Whether a "GPU" is a program on the CPU. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  const names = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return (
    info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i.test(names)
  );
}

function unsupported(reason: string, cause?: unknown): GradcamppError {
  return new GradcamppError(
    'UNSUPPORTED_BACKEND',
    `The backend "webgpu" needs a GPU adapter, and ${reason}. ${howToGetGpu}`,
    { cause },
  );
}
