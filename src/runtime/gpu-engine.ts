import { setFlagsFromString } from 'node:v8';
import type * as ort from 'onnxruntime-web';
import { type Dawn, howToGetDawn, openDawn } from '../dawn.js';
import { GradcamppError, messageOf } from '../errors.js';
import type { Engine } from './engine.js';
import { providersFor } from './ort-session.js';
import { webEngine } from './web-engine.js';

type Runtime = typeof ort;

/** What ONNX Runtime makes use of where an adapter has it. */
const features = ['shader-f16', 'subgroups'] as const;
const limits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** ONNX Runtime on a GPU in Node.js: onnxruntime-web on a device of Dawn's. undefined where onnxruntime-web is not installed. */
export async function loadGpuEngine(): Promise<Engine | undefined> {
  const runtime = await installed();
  if (!runtime) return undefined;
  if (runtime.env.logLevel === 'warning') runtime.env.logLevel = 'fatal'; // what fails is thrown
  runtime.env.wasm.numThreads = 1;
  const gpu = new SharedDevice();
  let isStarted = false;
  const engine = webEngine({
    runtime,
    providers: ['webgpu', 'cpu'],
    whatProvidersNeed: `It needs a GPU. ${howToGetDawn}; "cpu" works everywhere.`,
    executionProviders: async ({ providers }) => {
      const device = await gpu.device();
      return providersFor(providers).map((item) => {
        if (item === 'cpu') return 'wasm';
        return typeof item === 'object' && item.name === 'webgpu' ? { ...item, device } : item;
      });
    },
    during: async (work) => {
      const own = await stayingAlive(isStarted ? work : () => starting(gpu, work));
      isStarted = true;
      return own;
    },
    device: () => gpu.device(),
  });
  return {
    ...engine,
    provider: 'webgpu',
    open: async (...given) => {
      const session = await gpu.use(() => engine.open(...given));
      return { ...session, close: () => gpu.leave(session.close) };
    },
    describe: async () => {
      const { info } = await gpu.adapter();
      const name = info.description || [info.vendor, info.architecture].filter(Boolean).join(' ');
      return `The network runs on the GPU (webgpu, ${name}), by onnxruntime-web ${runtime.env.versions.web}.`;
    },
  };
}

async function installed(): Promise<Runtime | undefined> {
  try {
    return await import('onnxruntime-web/webgpu');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw new GradcamppError(
      'UNSUPPORTED_BACKEND',
      `onnxruntime-web, which runs networks on the GPU, does not load: ${messageOf(cause)}. Install onnxruntime-web ~1.30.0, or take it away.`,
      { cause },
    );
  }
}

/** The device that all sessions of this thread share: opened with the first, given back with the last. */
class SharedDevice {
  #dawn: Promise<Dawn> | undefined;
  #device: Promise<GPUDevice> | undefined;
  #users = 0;

  /** Its globals are set for ONNX Runtime, once. */
  dawn(): Promise<Dawn> {
    this.#dawn ??= openDawn(unsupported).then((dawn) => {
      Object.assign(globalThis, dawn.globals);
      copyShared(dawn.globals.GPUQueue.prototype as GPUQueue);
      return dawn;
    });
    return this.#dawn;
  }

  async adapter(): Promise<GPUAdapter> {
    const { gpu } = await this.dawn();
    const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch((cause) => {
      throw unsupported(`asking for one failed: ${messageOf(cause)}`, cause);
    });
    if (!adapter) throw unsupported('Dawn found none');
    return adapter;
  }

  device(): Promise<GPUDevice> {
    this.#device ??= this.#open().catch((error: unknown) => {
      this.#device = undefined;
      throw error;
    });
    return this.#device;
  }

  async #open(): Promise<GPUDevice> {
    const adapter = await this.adapter();
    const device = await adapter.requestDevice({
      label: 'gradcampp',
      requiredFeatures: features.filter((name) => adapter.features.has(name)),
      requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
    });
    void device.lost.then(() => {
      this.#device = undefined; // whoever opens a session now gets another
    });
    return device;
  }

  async use<T>(open: () => Promise<T>): Promise<T> {
    this.#users++;
    try {
      return await open();
    } catch (error) {
      await this.leave();
      throw error;
    }
  }

  async leave(close?: () => Promise<void>): Promise<void> {
    await close?.();
    if (--this.#users > 0) return;
    const device = await this.#device?.catch(() => undefined);
    if (this.#users > 0) return; // somebody came meanwhile
    this.#device = undefined;
    device?.destroy();
  }
}

function unsupported(reason: string, cause?: unknown): GradcamppError {
  return new GradcamppError(
    'UNSUPPORTED_BACKEND',
    `The execution provider webgpu needs a GPU adapter, and ${reason}. ${howToGetDawn}; or choose the provider "cpu".`,
    { cause },
  );
}

/** Dawn reads only memory that is not shared between threads, and WebAssembly's is. */
function copyShared(queue: GPUQueue): void {
  const { writeBuffer } = queue;
  queue.writeBuffer = function (buffer, offset, data, from = 0, size?) {
    const elements = (ArrayBuffer.isView(data) ? data : new Uint8Array(data)) as Uint8Array<ArrayBuffer>;
    const isShared = (elements.buffer as ArrayBufferLike) instanceof SharedArrayBuffer;
    const own = elements.subarray(from, size === undefined ? undefined : from + size);
    return writeBuffer.call(this, buffer, offset, isShared ? own.slice() : own);
  };
}

/** Waiting for the GPU keeps no process from ending. */
async function stayingAlive<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/**
 * The first call compiles the WebAssembly and looks for WebGPU, at `navigator.gpu`; were that left there, the process would not end.
 * V8 would compile what often runs once more, for tens of seconds in threads that a process waits for before it ends; what is
 * compiled without stays so.
 */
async function starting<T>(device: SharedDevice, work: () => Promise<T>): Promise<T> {
  const { gpu } = await device.dawn();
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  const flags = ['wasm-dynamic-tiering', 'wasm-tier-up'];
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true, writable: true });
  for (const flag of flags) setFlagsFromString(`--no-${flag}`);
  try {
    return await work();
  } finally {
    for (const flag of flags) setFlagsFromString(`--${flag}`);
    if (before) Object.defineProperty(globalThis, 'navigator', before);
    else Reflect.deleteProperty(globalThis, 'navigator');
  }
}
