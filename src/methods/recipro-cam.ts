import { yesOrNo } from '../options.js';
import { sizeOf } from '../tensor.js';
import { picturesOf } from './eigen-cam.js';
import type { Change, LayerValues } from './common/evidence.js';
import { layerMethod } from './common/method.js';

const options = {
  /** Keep a Gaussian of 3 × 3 positions instead of one position alone; default false. */
  gaussian: yesOrNo({
    default: false,
    help: 'Recipro-CAM with the paper’s 3 × 3 Gaussian around each position',
    flag: '--gaussian',
  }),
};

/**
 * Recipro-CAM, Byun and Lee, arXiv 2209.14074, Sec. 3: L_p = S(head(A at the position p alone, 0 elsewhere)), for every position of
 * the layer; the map is L itself, without ReLU. No gradient is needed; only the network behind the layer is run, once a
 * position, or not at all where it is affine: then L_p = Σ_k g_k A_k at p, apart from a constant. `gaussian` keeps the
 * neighbours too, by (1, 2, 1)/4 along every axis (in two dims the paper's 3 × 3 kernel).
 *
 * Where we differ: the paper takes the softmax of the scores; here the score before it, as in every method.
 */
export const reciproCam = layerMethod({
  name: 'recipro-cam',
  kind: 'layer',
  isSum: false,
  source: 'arXiv 2209.14074, Sec. 3',
  formula: 'L_p = S(A at position p alone)',
  needs: ['activations', 'head passes'],
  hasTarget: true,
  options,
  map: async (evidence, { gaussian }) => {
    const { images, layer } = evidence;
    const positions = sizeOf(layer.dims);
    const map = new Float64Array(images * positions); // scores differ by little from position to position
    const slopes = await evidence.constantGradient();
    const changes: Change[] = [];
    for (const [n, picture] of picturesOf(layer, layer.activations).entries()) {
      const sums = slopes && sumOverChannels(picture, slopes.subarray(n * picture.length), positions);
      for (let p = 0; p < positions; p++) {
        const kept = keptAround(p, layer, gaussian);
        const at = n * positions + p;
        if (sums) map[at] = kept.reduce((sum, { position, factor }) => sum + factor * sums[position], 0);
        else
          changes.push({
            of: n,
            fill: (out) => keepAlone(picture, kept, positions, out),
            take: (value) => {
              map[at] = value;
            },
          });
      }
    }
    await evidence.headPass(changes);
    return { by: 'map', map, dims: layer.dims, relu: false };
  },
});

interface Kept {
  readonly position: number;
  readonly factor: number;
}

/** The positions that are kept around one, and by which factor: that one alone, or its neighbours too. */
export function keptAround(p: number, { dims }: Pick<LayerValues, 'dims'>, gaussian: boolean): Kept[] {
  if (!gaussian) return [{ position: p, factor: 1 }];
  let kept: Kept[] = [{ position: 0, factor: 1 }];
  let inner = sizeOf(dims);
  for (const dim of dims) {
    inner /= dim;
    const own = Math.floor(p / inner) % dim;
    const steps = [-1, 0, 1].filter((step) => own + step >= 0 && own + step < dim);
    kept = kept.flatMap(({ position, factor }) =>
      steps.map((step) => ({
        position: position + (own + step) * inner,
        factor: factor * (step === 0 ? 1 / 2 : 1 / 4),
      })),
    );
  }
  return kept;
}

function keepAlone(picture: Float32Array, kept: readonly Kept[], positions: number, out: Float32Array): void {
  out.fill(0);
  for (let plane = 0; plane < picture.length; plane += positions)
    for (const { position, factor } of kept) out[plane + position] = factor * picture[plane + position];
}

/** Σ_k a_k b_k at every position. */
function sumOverChannels(a: Float32Array, b: Float32Array, positions: number): Float64Array {
  const sums = new Float64Array(positions);
  for (let i = 0; i < a.length; i++) sums[i % positions] += a[i] * b[i];
  return sums;
}
