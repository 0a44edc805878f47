import { GradcamppError } from '../errors.js';
import type { MapMethod, Moments } from '../map/backend.js';
import { type ComputedMaps, computeMaps, type MapInput } from '../map/compute.js';
import type { OpenedBackend } from '../map/open.js';
import { hasPooledWeights, pooledWeights, spread } from '../map/pooled.js';
import { sizeOf } from '../tensor.js';
import type { Differentiator, Forward } from './differentiator.js';
import type { Variant } from './options.js';

/** Maps of one target and method for a batch. */
export interface LayerMaps {
  /** Averaged over the layers, [N, ...size]. */
  readonly maps: Float32Array;
  readonly size: readonly number[];
  /** Of the first layer, [N, ...layer]. */
  readonly raw: Float32Array;
  readonly rawDims: readonly number[];
  /** Whether every layer's map is empty, [N]. */
  readonly empty: readonly boolean[];
  readonly backend: ComputedMaps['backend'];
}

export interface MapJob {
  readonly variant: Required<Variant>;
  readonly forward: Forward;
  /** Of each target, of each layer. */
  readonly gradients: readonly (readonly Float32Array[])[];
  readonly differentiator: Differentiator;
  readonly moments: readonly Moments[] | undefined;
  readonly size: readonly number[];
}

/** Runs the map stage for every layer, all targets at once, and averages the layers' maps: one result a target. */
export async function mapsOf(backend: OpenedBackend, job: MapJob): Promise<LayerMaps[]> {
  const { forward, gradients, size, differentiator } = job;
  // Scores are finite (checked before). Behind a linear head they are sums over all activations, so these are too.
  const isFinite = differentiator.isConstant && differentiator.isPooled.every(Boolean);
  const results = await Promise.all(
    forward.dims.map((_, layer) => computeMaps(backend, requestOf(job, layer), { isFinite })),
  );
  const [first] = results;
  return gradients.map((_, target) => ({
    maps: average(results.map((result) => result.maps[target])),
    size,
    raw: first.raw[target],
    rawDims: forward.dims[0].slice(2),
    empty: Array.from({ length: forward.images }, (__, n) =>
      results.every((result) => result.empty[target][n] === 1),
    ),
    backend: first.backend,
  }));
}

function requestOf(
  { variant, forward, gradients, differentiator, moments, size }: MapJob,
  index: number,
): MapInput {
  const [images, channels, ...layer] = forward.dims[index];
  const method = (variant.method === 'guided-grad-cam++' ? 'grad-cam++' : variant.method) as MapMethod;
  const activations = forward.activations[index];
  const { form, alphaNormalization, gradientRelu } = variant;
  let weights: Float32Array[] | undefined;
  let own = gradients.map((layers) => layers[index]);
  if (method === 'cam' && !(differentiator.isPooled[index] && differentiator.isConstant)) throw notPooled();
  if (differentiator.isPooled[index]) {
    const positions = sizeOf(layer);
    const settings = { method, form, alphaNormalization, gradientRelu };
    const pooled = own.map((gradient) => ({ activations, gradient, positions }));
    if (hasPooledWeights(settings)) weights = pooled.map((item) => pooledWeights(method, item));
    else own = pooled.map(spread);
  }
  return {
    method: weights ? 'cam' : method,
    form,
    alphaNormalization,
    gradientRelu,
    images,
    channels,
    layer,
    size: size.slice(size.length - layer.length),
    activations,
    gradients: own,
    weights,
    moments: form === 'softmax' ? moments?.[index] : undefined,
  };
}

function notPooled(): GradcamppError {
  return new GradcamppError(
    'UNSUPPORTED_MODEL',
    'Method "cam" needs global average pooling and one linear layer between the explained layer and the scores; this model has more. Use grad-cam++ or another layer.',
  );
}

function average(maps: readonly Float32Array[]): Float32Array {
  if (maps.length === 1) return maps[0];
  return maps[0].map((_, i) => maps.reduce((sum, map) => sum + map[i], 0) / maps.length);
}
