import { sizeOf } from '../tensor.js';
import { methodNamed } from '../methods/index.js';
import type { ChannelMethod } from '../methods/common/method.js';
import type { MapBackend, MapRequest, MapResult } from './backend.js';
import { linearUpsampler, rememberedUpsampler } from '../upsample.js';

/**
 * The map stage as the paper orders it: weights as the methods' own files compute them, weighted sum, ReLU, upsampling,
 * normalisation. Every intermediate is float64, only results are rounded to float32. The other backends are held against
 * this one.
 */
export function openReference(): MapBackend {
  const upsampler = rememberedUpsampler();
  return {
    name: 'reference',
    checksFinite: false,
    compute: async (request) => computeReference(request, upsampler),
    close: async () => {},
  };
}

/** The reference backend's work without the promise. */
export function computeReference(request: MapRequest, upsampler = linearUpsampler): MapResult {
  const { images, channels, layer, size, activations } = request;
  const positions = sizeOf(layer);
  const pixels = sizeOf(size);
  const targets = request.method === 'cam' ? request.weights!.length : request.gradients.length;
  const upsample = upsampler(layer, size);
  const sum = new Float64Array(positions);

  const raw: Float32Array[] = [];
  const maps: Float32Array[] = [];
  const empty: Uint8Array[] = [];
  for (let target = 0; target < targets; target++) {
    const addChannels = summing(request, target, positions);
    raw.push(new Float32Array(images * positions));
    maps.push(new Float32Array(images * pixels));
    empty.push(new Uint8Array(images));
    for (let image = 0; image < images; image++) {
      sum.fill(0);
      addChannels(sum, activations, image * channels, (image + 1) * channels);
      const blank = rectify(sum, raw[target], image * positions);
      empty[target][image] = blank ? 1 : 0;
      if (!blank) normalize(upsample(sum), maps[target], image * pixels);
    }
  }
  return { raw, maps, empty };
}

/** Adds w_k A_k of the planes `first` … `last` − 1; a plane is one channel of one image, `positions` long. */
type AddChannels = (sum: Float64Array, activations: Float32Array, first: number, last: number) => void;

function summing(request: MapRequest, target: number, positions: number): AddChannels {
  const method = methodNamed(request.method);
  if (method.kind === 'position') return positionSum(method.weight, request.gradients[target], positions);
  const weight = channelWeight(request, target, positions);
  return (sum, activations, first, last) => {
    for (let plane = first; plane < last; plane++) {
      const w = weight(activations, plane);
      if (w === 0) continue;
      const at = plane * positions;
      for (let p = 0; p < positions; p++) sum[p] += w * activations[at + p];
    }
  };
}

/** Σ_k w(g_k) ⊙ A_k. */
function positionSum(weight: (g: number) => number, gradients: Float32Array, positions: number): AddChannels {
  return (sum, activations, first, last) => {
    for (let plane = first; plane < last; plane++) {
      const at = plane * positions;
      for (let p = 0; p < positions; p++) sum[p] += weight(gradients[at + p]) * activations[at + p];
    }
  };
}

/** The weight of one plane: given, or what the method's own file says. */
function channelWeight(
  request: MapRequest,
  target: number,
  positions: number,
): (activations: Float32Array, plane: number) => number {
  if (request.method === 'cam') {
    const weights = request.weights![target];
    return (_, plane) => weights[plane];
  }
  const { weight } = methodNamed(request.method) as ChannelMethod;
  const { moments, form, alphaNormalization, gradientRelu } = request;
  const gradients = request.gradients[target];
  const settings = { form, alphaNormalization, gradientRelu };
  return (activations, plane) => {
    const at = plane * positions;
    return weight(
      { activations, at, positions, gradients, gradientAt: at, gradientStep: 1, moments },
      settings,
    );
  };
}

const largestFloat = 3.4028234663852886e38;

/** ReLU in place and rounded into `raw` (saturating, never Infinity). True where `raw` is zero everywhere. */
function rectify(sum: Float64Array, raw: Float32Array, at: number): boolean {
  let blank = true;
  for (let p = 0; p < sum.length; p++) {
    const value = sum[p] > 0 ? sum[p] : 0;
    sum[p] = value;
    raw[at + p] = Math.min(value, largestFloat);
    if (raw[at + p] !== 0) blank = false;
  }
  return blank;
}

/** (L − min L) / (max L − min L). A constant map has no range: it becomes 1 everywhere, or 0 where it is 0. */
function normalize(map: Float64Array, out: Float32Array, at: number): void {
  let least = map[0];
  let most = map[0];
  for (let i = 1; i < map.length; i++) {
    const value = map[i];
    if (value < least) least = value;
    else if (value > most) most = value;
  }
  if (least === most) {
    out.fill(most > 0 ? 1 : 0, at, at + map.length);
    return;
  }
  const scale = 1 / (most - least);
  for (let i = 0; i < map.length; i++) out[at + i] = (map[i] - least) * scale;
}
