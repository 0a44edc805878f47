import type { MapRequest } from '../backend.js';
import { type AdapterDescription, type DeviceOptions, type OpenDevice, openDevice } from './device.js';
import { Kernel } from './kernel.js';
import type { Batch, BatchLimits, Shape } from './plan.js';
import { teamFiles } from './shader-files.js';
import { Slot } from './slot.js';

export interface SessionOptions extends Omit<DeviceOptions, 'timestamps'> {
  readonly workgroupSize: number;
  readonly inFlight: number;
  readonly bindingBytes: number;
  readonly onDispatch?: (nanoseconds: number) => void;
}

/** One device from opening to loss or close: its kernel, its slots, and who waits for a slot. */
export class GpuSession {
  readonly limits: BatchLimits;
  readonly #open: OpenDevice;
  readonly #kernel: Kernel;
  readonly #slots: Slot[];
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  private constructor(open: OpenDevice, kernel: Kernel, options: SessionOptions) {
    this.#open = open;
    this.#kernel = kernel;
    const { maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupsPerDimension } =
      open.device.limits;
    this.limits = {
      bindingBytes: Math.min(options.bindingBytes, maxStorageBufferBindingSize, maxBufferSize - 16),
      workgroups: maxComputeWorkgroupsPerDimension,
    };
    this.#slots = Array.from(
      { length: options.inFlight },
      () => new Slot(open.device, kernel, options.onDispatch),
    );
    this.#free = [...this.#slots];
  }

  static async open(options: SessionOptions): Promise<GpuSession> {
    const open = await openDevice({ ...options, timestamps: options.onDispatch !== undefined });
    const teams = open.adapter.subgroups ? teamFiles.subgroups : teamFiles.plain;
    try {
      return new GpuSession(open, await Kernel.compile(open.device, teams, options.workgroupSize), options);
    } catch (error) {
      open.device.destroy();
      throw error;
    }
  }

  get adapter(): AdapterDescription {
    return this.#open.adapter;
  }

  /** Computes a batch as soon as a slot is free; batches start in the order of the calls. */
  async run(
    request: MapRequest,
    shape: Shape,
    batch: Batch,
    read: (results: Float32Array) => void,
  ): Promise<void> {
    const pipeline = await this.#kernel.pipeline(request);
    const slot = this.#free.pop() ?? (await new Promise<Slot>((resolve) => this.#waiting.push(resolve)));
    try {
      await slot.run(pipeline, request, shape, batch, read);
    } finally {
      const next = this.#waiting.shift();
      if (next) next(slot);
      else this.#free.push(slot);
    }
  }

  /** Why the device was lost, if that is what made a call fail; its notice may come just after the failure. */
  async loss(): Promise<string | undefined> {
    const info = await Promise.race([
      this.#open.device.lost,
      new Promise<undefined>((resolve) => setTimeout(resolve, 100)),
    ]);
    return info && (info.message || info.reason);
  }

  close(): void {
    for (const slot of this.#slots) slot.destroy();
    this.#open.device.destroy();
  }
}
