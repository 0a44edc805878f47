import { sizeOf } from '../tensor.js';
import type { MapBackend, MapRequest, MapResult, Moments } from './backend.js';
import { methods } from './methods.js';
import { planeSum } from './plane.js';
import { linearUpsampler, rememberedUpsampler } from './upsample.js';

/**
 * The map stage as the paper orders it: α, weights, weighted sum, ReLU, upsampling, normalisation. Every
 * intermediate is float64, only results are rounded to float32. The other backends are held against this one.
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
  const targets =
    methods[request.method].needs === 'weights' ? request.weights!.length : request.gradients.length;
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
  if (request.method === 'hires-cam' || request.method === 'layer-cam')
    return positionSum(request.gradients[target], request.method === 'layer-cam', positions);
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

/** Σ_k g_k ⊙ A_k (HiResCAM), or Σ_k relu(g_k) ⊙ A_k (LayerCAM). */
function positionSum(gradients: Float32Array, positiveOnly: boolean, positions: number): AddChannels {
  return (sum, activations, first, last) => {
    for (let plane = first; plane < last; plane++) {
      const at = plane * positions;
      if (positiveOnly)
        for (let p = 0; p < positions; p++) sum[p] += Math.max(gradients[at + p], 0) * activations[at + p];
      else for (let p = 0; p < positions; p++) sum[p] += gradients[at + p] * activations[at + p];
    }
  };
}

/** The weight of one plane. */
type ChannelWeight = (activations: Float32Array, plane: number) => number;

function channelWeight(request: MapRequest, target: number, positions: number): ChannelWeight {
  if (request.method === 'cam') {
    const weights = request.weights![target];
    return (_, plane) => weights[plane];
  }
  const gradients = request.gradients[target];
  if (request.method === 'grad-cam')
    return (_, plane) => planeSum(gradients, plane * positions, positions) / positions;
  if (request.method === 'xgrad-cam')
    return (activations, plane) => {
      const at = plane * positions;
      const total = planeSum(activations, at, positions);
      if (total === 0) return 0;
      let product = 0;
      for (let p = at; p < at + positions; p++) product += activations[p] * gradients[p];
      return product / total;
    };
  const { gradientRelu, alphaNormalization } = request;
  if (request.form === 'softmax')
    return softmaxWeight(gradients, request.moments!, positions, gradientRelu, alphaNormalization);
  return exponentialWeight(gradients, positions, gradientRelu, alphaNormalization);
}

/**
 * Grad-CAM++, Y = exp(S): w = Σ α relu(g), α = g² / (2g² + g³ ΣA) (paper Eq. 19). With the common factor g² taken
 * out, α = 1 / (2 + g ΣA) where g ≠ 0: the same number, without g³ under- or overflowing. e^S is left out.
 */
function exponentialWeight(
  gradients: Float32Array,
  positions: number,
  gradientRelu: boolean,
  alphaNormalization: boolean,
): ChannelWeight {
  return (activations, plane) => {
    const at = plane * positions;
    const sumA = planeSum(activations, at, positions);
    let weight = 0;
    let alphaSum = 0;
    for (let p = at; p < at + positions; p++) {
      const g = gradients[p];
      if (g <= 0 && gradientRelu) continue;
      const alpha = ratio(1, 2 + g * sumA);
      weight += alpha * g;
      if (g > 0) alphaSum += alpha;
    }
    return alphaNormalization ? ratio(weight, alphaSum) : weight;
  };
}

/**
 * Grad-CAM++, Y = softmax(S)_c, in cumulants: with d = g − μ, Y′ = p d, Y″ = p (d² − V), Y‴ = p (d³ − 3dV − κ);
 * p cancels in α and is left out of the weight.
 */
function softmaxWeight(
  gradients: Float32Array,
  moments: Moments,
  positions: number,
  gradientRelu: boolean,
  alphaNormalization: boolean,
): ChannelWeight {
  const { mean, variance, third } = moments;
  return (activations, plane) => {
    const at = plane * positions;
    const sumA = planeSum(activations, at, positions);
    let weight = 0;
    let alphaSum = 0;
    for (let p = at; p < at + positions; p++) {
      const d = gradients[p] - mean[p];
      if (d <= 0 && gradientRelu) continue;
      const second = d * d - variance[p];
      const alpha = ratio(second, 2 * second + sumA * (d * d * d - 3 * d * variance[p] - third[p]));
      weight += alpha * d;
      if (d > 0) alphaSum += alpha;
    }
    return alphaNormalization ? ratio(weight, alphaSum) : weight;
  };
}

/** A denominator of exactly zero gives α = 0. */
function ratio(numerator: number, denominator: number): number {
  return denominator === 0 ? 0 : numerator / denominator;
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
