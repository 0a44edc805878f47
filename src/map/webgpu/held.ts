import { GradcamppError } from '../../errors.js';
import type { GpuTensor } from '../../tensor.js';
import type { MapResult, MapSettings } from '../backend.js';
import { mapForReading, usage } from './constants.js';
import { Kernel } from './kernel.js';
import { emptyResult, unpack } from './kernel-results.js';
import { type Batch, bytesOf, dimsWords, headLength, type Shape, shapeOf, tapWords } from './plan.js';
import { teamFiles } from './shader-files.js';

/** A request whose numbers are on the GPU already; see MapRequest. */
export interface HeldRequest extends MapSettings {
  readonly images: number;
  readonly layer: readonly number[];
  readonly size: readonly number[];
  /** A, [N, K, ...layer]. */
  readonly activations: GpuTensor;
  /** g, one tensor [N, K, ...layer] a target. */
  readonly gradients: readonly GpuTensor[];
}

/** Maps that stay on the GPU until they are read. */
export interface HeldMaps {
  readonly buffer: GPUBuffer;
  /** Output dims of a map. */
  readonly size: readonly number[];
  /** Where in the buffer, in float32 numbers, the map of an image and a target begins. */
  start(image: number, target: number): number;
  /** The only numbers that leave the GPU. */
  read(): Promise<MapResult>;
  release(): void;
}

const workgroupSize = 256;

/** The kernel of the map stage on the device where the network runs: it reads what the network left there. */
export class HeldKernel {
  readonly #device: GPUDevice;
  readonly #kernel: Kernel;

  private constructor(device: GPUDevice, kernel: Kernel) {
    this.#device = device;
    this.#kernel = kernel;
  }

  static async open(device: GPUDevice): Promise<HeldKernel> {
    const teams = device.features.has('subgroups') ? teamFiles.subgroups : teamFiles.plain;
    return new HeldKernel(device, await Kernel.compile(device, teams, workgroupSize));
  }

  /** One dispatch; nothing is read. */
  async compute(request: HeldRequest): Promise<HeldMaps> {
    const device = this.#device;
    const { activations, gradients, images } = request;
    const shape = shapeOf({
      ...request,
      channels: activations.dims[1],
      activations: none,
      gradients: gradients.map(() => none),
    });
    const batch = { firstImage: 0, images, firstTarget: 0, targets: gradients.length };
    const bytes = bytesOf(shape, batch);
    this.#refuseLarge(bytes);
    const pipeline = await this.#kernel.pipeline(request);
    device.pushErrorScope('validation');
    device.pushErrorScope('out-of-memory');
    const dims = this.#written(dimsWords(shape, batch), usage.uniform);
    const taps = this.#written(tapWords(shape), usage.storage);
    const results = device.createBuffer({
      label: 'maps',
      size: bytes.results,
      usage: usage.storage | usage.copySource,
    });
    const encoder = device.createCommandEncoder();
    const [first] = gradients;
    const one = bytes.gradients / gradients.length;
    const joined =
      gradients.length > 1
        ? device.createBuffer({
            label: 'gradients',
            size: bytes.gradients,
            usage: usage.storage | usage.copyDestination,
          })
        : undefined;
    if (joined)
      for (const [t, { buffer }] of gradients.entries())
        encoder.copyBufferToBuffer(buffer, 0, joined, t * one, one);
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    const bound = { dims, taps, activations: activations.buffer, gradients: joined ?? first.buffer, results };
    pass.setBindGroup(0, this.#kernel.bind(bound, bytes));
    pass.dispatchWorkgroups(images, gradients.length);
    pass.end();
    device.queue.submit([encoder.finish()]);
    for (const buffer of [dims, taps, joined]) buffer?.destroy(); // once the GPU is done with them
    const [outOfMemory, invalid] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
    const failure = this.#kernel.failureOf({ outOfMemory, invalid }, batch, bytes);
    if (failure) {
      results.destroy();
      throw failure;
    }
    return this.#held(results, request.size, shape, batch);
  }

  #held(results: GPUBuffer, size: readonly number[], shape: Shape, batch: Batch): HeldMaps {
    const { images, targets, positions, pixels } = shape;
    const maps = images * targets * (headLength + positions);
    return {
      buffer: results,
      size,
      start: (image, target) => maps + (target * images + image) * pixels,
      read: () => this.#read(results, shape, batch),
      release: () => results.destroy(),
    };
  }

  async #read(results: GPUBuffer, shape: Shape, batch: Batch): Promise<MapResult> {
    const bytes = results.size;
    const readback = this.#device.createBuffer({
      label: 'read back',
      size: bytes,
      usage: usage.mapRead | usage.copyDestination,
    });
    try {
      const encoder = this.#device.createCommandEncoder();
      encoder.copyBufferToBuffer(results, 0, readback, 0, bytes);
      this.#device.queue.submit([encoder.finish()]);
      await readback.mapAsync(mapForReading, 0, bytes);
      const result = emptyResult(shape);
      const isFinite = unpack(new Float32Array(readback.getMappedRange(0, bytes)), shape, batch, result);
      readback.unmap();
      if (!isFinite)
        throw new GradcamppError(
          'RUNTIME',
          'The activations or gradients of the explained layer must be finite numbers; the GPU met others. ' +
            'Check that the input is finite and that the model does not overflow float32 on it.',
        );
      return result;
    } finally {
      readback.destroy();
    }
  }

  #written(words: Uint32Array<ArrayBuffer>, use: number): GPUBuffer {
    const size = Math.ceil(words.byteLength / 16) * 16;
    const buffer = this.#device.createBuffer({ size, usage: use | usage.copyDestination });
    this.#device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  }

  #refuseLarge({ activations, gradients, results }: ReturnType<typeof bytesOf>): void {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.#device.limits;
    const most = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    const largest = Math.max(activations, gradients, results);
    if (largest > most)
      throw new GradcamppError(
        'RUNTIME',
        `The maps of a batch need a buffer of ${largest} bytes, and this GPU binds ${most}. Use smaller batches.`,
      );
  }
}

/** In place of numbers that are on the GPU. */
const none = new Float32Array(0);
