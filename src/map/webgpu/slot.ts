import { type MapRequest, needsMoments } from '../backend.js';
import type { Kernel, KernelBuffers } from './kernel.js';
import { mapForReading, usage } from './constants.js';
import { type Batch, bytesOf, dimsWords, type Shape, tapWords } from './plan.js';

const timestampBytes = 16;

/** The buffers of a batch by name, and how each is used. */
const buffers = {
  dims: usage.uniform | usage.copyDestination,
  taps: usage.storage | usage.copyDestination,
  activations: usage.storage | usage.copyDestination,
  gradients: usage.storage | usage.copyDestination,
  mean: usage.storage | usage.copyDestination,
  variance: usage.storage | usage.copyDestination,
  third: usage.storage | usage.copyDestination,
  results: usage.storage | usage.copySource,
  readback: usage.mapRead | usage.copyDestination,
  timestamps: usage.queryResolve | usage.copySource,
} as const;
type BufferName = keyof typeof buffers;

/**
 * The buffers of one batch in flight. They grow to the largest batch so far and are used again; several slots let one
 * batch upload or read back while another computes.
 */
export class Slot {
  readonly #device: GPUDevice;
  readonly #kernel: Kernel;
  readonly #buffers = new Map<BufferName, GPUBuffer>();
  readonly #querySet: GPUQuerySet | undefined;
  readonly #onDispatch: ((nanoseconds: number) => void) | undefined;

  constructor(device: GPUDevice, kernel: Kernel, onDispatch?: (nanoseconds: number) => void) {
    this.#device = device;
    this.#kernel = kernel;
    this.#onDispatch = onDispatch;
    this.#querySet = onDispatch && device.createQuerySet({ type: 'timestamp', count: 2 });
  }

  /** Uploads a batch, dispatches it once, and hands its `results` to `read` while they are mapped. */
  async run(
    pipeline: GPUComputePipeline,
    request: MapRequest,
    shape: Shape,
    batch: Batch,
    read: (results: Float32Array) => void,
  ): Promise<void> {
    const device = this.#device;
    const bytes = bytesOf(shape, batch);
    device.pushErrorScope('validation');
    device.pushErrorScope('out-of-memory');
    this.#upload(request, shape, batch);
    const results = this.#reserve('results', bytes.results);
    const readback = this.#reserve('readback', bytes.results + timestampBytes);

    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass(
      this.#querySet && {
        timestampWrites: {
          querySet: this.#querySet,
          beginningOfPassWriteIndex: 0,
          endOfPassWriteIndex: 1,
        },
      },
    );
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.#kernel.bind(this.#bound(request), bytes));
    pass.dispatchWorkgroups(batch.images, batch.targets);
    pass.end();
    encoder.copyBufferToBuffer(results, 0, readback, 0, bytes.results);
    if (this.#querySet) {
      const timestamps = this.#reserve('timestamps', timestampBytes);
      encoder.resolveQuerySet(this.#querySet, 0, 2, timestamps, 0);
      encoder.copyBufferToBuffer(timestamps, 0, readback, bytes.results, timestampBytes);
    }
    device.queue.submit([encoder.finish()]);
    const failures = Promise.all([device.popErrorScope(), device.popErrorScope()]);
    const mapped = readback.mapAsync(mapForReading, 0, bytes.results + timestampBytes);
    mapped.catch(() => {}); // a failure below says more
    const [outOfMemory, invalid] = await failures;
    const failure = this.#kernel.failureOf({ outOfMemory, invalid }, batch, bytes);
    if (failure) {
      this.destroy();
      throw failure;
    }
    await mapped;
    try {
      const range = readback.getMappedRange(0, bytes.results + timestampBytes);
      read(new Float32Array(range, 0, bytes.results / 4));
      if (this.#onDispatch) {
        const [begin, end] = new BigUint64Array(range.slice(bytes.results));
        this.#onDispatch(Number(end - begin));
      }
    } finally {
      readback.unmap();
    }
  }

  /** Frees the buffers; the slot can be used again. */
  destroy(): void {
    for (const buffer of this.#buffers.values()) buffer.destroy();
    this.#buffers.clear();
  }

  #upload(request: MapRequest, shape: Shape, batch: Batch): void {
    this.#write('dims', 48, 0, dimsWords(shape, batch));
    const taps = tapWords(shape);
    this.#write('taps', taps.byteLength, 0, taps);

    const perImage = shape.channels * shape.positions;
    const start = batch.firstImage * perImage;
    const count = batch.images * perImage;
    const write = (name: BufferName, array: Float32Array) =>
      this.#write(name, 4 * count, 0, array.subarray(start, start + count));
    write('activations', request.activations);
    if (needsMoments(request)) {
      write('mean', request.moments!.mean);
      write('variance', request.moments!.variance);
      write('third', request.moments!.third);
    }

    const arrays = request.method === 'cam' ? request.weights! : request.gradients;
    const length = batch.images * shape.plane;
    const from = batch.firstImage * shape.plane;
    for (let i = 0; i < batch.targets; i++)
      this.#write(
        'gradients',
        4 * length * batch.targets,
        4 * length * i,
        arrays[batch.firstTarget + i].subarray(from, from + length),
      );
  }

  #bound(request: MapRequest): KernelBuffers {
    const of = (name: BufferName) => this.#buffers.get(name) as GPUBuffer;
    return {
      dims: of('dims'),
      taps: of('taps'),
      activations: of('activations'),
      gradients: of('gradients'),
      results: of('results'),
      moments: needsMoments(request)
        ? { mean: of('mean'), variance: of('variance'), third: of('third') }
        : undefined,
    };
  }

  /** Writes numbers into a buffer of at least `bytes`. */
  #write(name: BufferName, bytes: number, offset: number, numbers: Float32Array | Uint32Array): void {
    // Dawn reads only memory that is not shared between threads.
    const own = (
      numbers.buffer instanceof ArrayBuffer ? numbers : numbers.slice()
    ) as Float32Array<ArrayBuffer>;
    this.#device.queue.writeBuffer(this.#reserve(name, bytes), offset, own);
  }

  /** A buffer of at least `bytes`: the one there is, or a larger one in its place. */
  #reserve(name: BufferName, bytes: number): GPUBuffer {
    const present = this.#buffers.get(name);
    if (present && present.size >= bytes) return present;
    present?.destroy();
    const buffer = this.#device.createBuffer({
      label: name,
      size: Math.ceil(bytes / 16) * 16,
      usage: buffers[name],
    });
    this.#buffers.set(name, buffer);
    return buffer;
  }
}
