import { invalid, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError, messageOf } from '../errors.js';
import type { MapBackend, MapRequest, MapResult } from './backend.js';
import { notFinite } from './compute.js';
import type { AdapterDescription } from './webgpu/device.js';
import { type Batch, planBatches, type Shape, shapeOf } from './webgpu/plan.js';
import { emptyResult, unpack } from './webgpu/kernel-results.js';
import { GpuSession, type SessionOptions } from './webgpu/gpu-session.js';

export type { AdapterDescription } from './webgpu/device.js';

export interface WebgpuOptions {
  /** Whether to use subgroup operations. Default: where the adapter has them; `true` where it has not is an error. */
  readonly subgroups?: boolean;
  /** Invocations a workgroup: 64, 128 or 256, which every WebGPU device allows. Default 256. */
  readonly workgroupSize?: number;
  /**
   * Batches on the device at once, each with buffers of its own. Default 3: one uploads, one computes, one reads back.
   */
  readonly inFlight?: number;
  /** Bytes that one buffer may have; a larger batch is split. Default: what the device binds, at most 2 GiB. */
  readonly bindingBytes?: number;
  /** Called with the GPU time of every dispatch. Needs timestamp queries; an adapter without them is an error. */
  readonly onDispatch?: (nanoseconds: number) => void;
  /** Where adapters come from. Default: Dawn (the package `webgpu`). */
  readonly gpu?: GPU;
}

const optionKeys = [
  'subgroups',
  'workgroupSize',
  'inFlight',
  'bindingBytes',
  'onDispatch',
  'gpu',
] as const satisfies readonly (keyof WebgpuOptions)[];

export interface WebgpuBackend extends MapBackend {
  readonly name: 'webgpu';
  readonly adapter: AdapterDescription;
}

/**
 * The map stage on a GPU: one compute dispatch a batch, `shaders/map*.wgsl`, float32 throughout. The shaders' heads say
 * how sums are kept accurate and what happens at extreme magnitudes. Calls of `compute` may overlap: while one batch
 * computes, others upload and read back. A request is one batch unless a limit of the device splits it.
 *
 * A lost device is opened again and its batches repeated, once; a second loss is an error of code RUNTIME.
 * Throws UNSUPPORTED_BACKEND where there is no adapter.
 */
export async function openWebgpu(options: WebgpuOptions = {}): Promise<WebgpuBackend> {
  onlyKeys('openWebgpu', options, optionKeys);
  const { workgroupSize = 256, inFlight = 3, bindingBytes = 2 ** 31 } = options;
  if (![64, 128, 256].includes(workgroupSize))
    throw invalid('workgroupSize', '64, 128 or 256', workgroupSize);
  wholeNumber('inFlight', inFlight, 1, 64);
  wholeNumber('bindingBytes', bindingBytes, 16);
  const complete = { ...options, workgroupSize, inFlight, bindingBytes };
  return new Webgpu(complete, await GpuSession.open(complete));
}

class Webgpu implements WebgpuBackend {
  readonly name = 'webgpu';
  /** The kernel looks at the bits of everything that it reads. */
  readonly checksFinite = true;
  readonly #options: SessionOptions;
  readonly #first: GpuSession;
  #second: Promise<GpuSession> | undefined;
  #closed = false;
  readonly #underWay = new Set<Promise<MapResult>>();

  constructor(options: SessionOptions, session: GpuSession) {
    this.#options = options;
    this.#first = session;
  }

  get adapter(): AdapterDescription {
    return this.#first.adapter;
  }

  async compute(request: MapRequest): Promise<MapResult> {
    if (this.#closed)
      throw new GradcamppError('RUNTIME', 'The backend "webgpu" has been closed. Open another.');
    const work = this.#compute(request);
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #compute(request: MapRequest): Promise<MapResult> {
    const shape = shapeOf(request);
    const result = emptyResult(shape);
    const batches = planBatches(shape, this.#first.limits);
    const outcomes = await Promise.allSettled(
      batches.map((batch) =>
        this.#run(request, shape, batch, (results) => {
          if (!unpack(results, shape, batch, result)) throw notFinite(request) ?? misread();
        }),
      ),
    );
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    return result;
  }

  async #run(
    request: MapRequest,
    shape: Shape,
    batch: Batch,
    read: (results: Float32Array) => void,
  ): Promise<void> {
    const session = await (this.#second ?? this.#first);
    try {
      return await session.run(request, shape, batch, read);
    } catch (error) {
      const loss = await session.loss();
      if (loss === undefined) throw error;
      if (session !== this.#first)
        throw new GradcamppError(
          'RUNTIME',
          `The GPU device was lost for the second time: ${loss}. Close the backend and open it again, or choose "native".`,
          { cause: error },
        );
      this.#second ??= this.#reopen(loss);
    }
    return this.#run(request, shape, batch, read);
  }

  async #reopen(loss: string): Promise<GpuSession> {
    try {
      return await GpuSession.open(this.#options);
    } catch (error) {
      throw new GradcamppError(
        'RUNTIME',
        `The GPU device was lost (${loss}) and could not be opened again: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
    this.#first.close();
    (await this.#second?.catch(() => undefined))?.close();
  }
}

function misread(): GradcamppError {
  return new GradcamppError('RUNTIME', 'The GPU met numbers that are not finite, but was sent none.');
}
