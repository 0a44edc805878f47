import { availableParallelism } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { loadAddon } from '../addon.js';
import { wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import { uninitialized } from '../memory.js';
import { sizeOf } from '../tensor.js';
import { type MapBackend, type MapRequest, type MapResult, mapMethods } from './backend.js';
import { notFinite } from './compute.js';

export interface NativeOptions {
  /** Threads that share the images of a request: by default one a processor, and 1 inside a worker thread. */
  readonly threads?: number;
  /** One of the addon's instruction sets instead of the widest; for tests, since all give the same bits. */
  readonly instructionSet?: string;
}

/**
 * The C++ backend. Arrays given to `compute` must not be transferred to another thread before its promise settles.
 * @throws UNSUPPORTED_BACKEND where no addon loads.
 */
export async function openNative(options: NativeOptions = {}, addon = loadAddon()): Promise<MapBackend> {
  if ('problems' in addon)
    throw new GradcamppError(
      'UNSUPPORTED_BACKEND',
      `"native" cannot run here: no addon loads (${addon.problems.join('; ')}). ` +
        'Install the optional packages, or a C++ compiler and run "npm rebuild gradcampp".',
    );
  const threads = wholeNumber('threads', options.threads ?? defaultThreads(), 1, 256);
  const pool = new addon.Pool(threads, options.instructionSet);
  const isAlone = threads === 1 && !isMainThread; // nobody would do anything else meanwhile
  return {
    name: 'native',
    checksFinite: true,
    compute: async (request) => {
      const result = outputsFor(request);
      const { moments } = request;
      const asked = {
        method: mapMethods.indexOf(request.method),
        softmax: request.form === 'softmax',
        alphaNormalization: request.alphaNormalization,
        gradientRelu: request.gradientRelu,
        images: request.images,
        channels: request.channels,
        layer: request.layer,
        size: request.size,
        activations: request.activations,
        gradients: request.gradients,
        weights: request.weights ?? [],
        moments: moments ? [moments.mean, moments.variance, moments.third] : [],
      };
      const finite = isAlone ? pool.mapsNow(asked, result) : await pool.maps(asked, result);
      if (!finite)
        throw notFinite(request) ?? new Error('the addon found a number that is not finite and is not there');
      return result;
    },
    close: async () => pool.close(),
  };
}

function defaultThreads(): number {
  return isMainThread ? availableParallelism() : 1;
}

function outputsFor(request: MapRequest): MapResult {
  const targets = request.method === 'cam' ? request.weights! : request.gradients;
  const { images, layer, size } = request;
  return {
    raw: targets.map(() => floats(images * sizeOf(layer))),
    maps: targets.map(() => floats(images * sizeOf(size))),
    empty: targets.map(() => new Uint8Array(images)),
  };
}

/** The addon writes every element, so that none need be cleared. */
function floats(length: number): Float32Array {
  return new Float32Array(uninitialized(length * Float32Array.BYTES_PER_ELEMENT));
}
