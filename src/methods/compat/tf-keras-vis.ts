import { alignedTaps, linearUpsampler } from '../../upsample.js';
import { sizeOf } from '../../tensor.js';
import type { Evidence, LayerValues } from '../common/evidence.js';
import { ratio } from '../common/method.js';
import { noisyPictures } from '../common/noise.js';
import {
  byRow,
  minMax,
  ofChannels,
  type Peer,
  type PeerMethod,
  peerMethod,
  relu,
  scoresUnder,
  sumsOf,
  together,
  weighted,
} from './peer.js';

const eps = 1e-7; // keras.backend.epsilon()
const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);

/** @param factor ln of what the map of each picture is larger by, [N] */
function cam(
  find: (
    layer: LayerValues,
    evidence: Evidence,
    settings: { readonly channels?: number },
  ) => Promise<ArrayLike<number>>,
  {
    options,
    factor = () => 0,
  }: { options?: readonly string[]; factor?: (evidence: Evidence, n: number) => number } = {},
): PeerMethod {
  return peerMethod(async (evidence, settings) => {
    const { layer } = evidence;
    const maps = sumsOf(layer, weighted(layer, await find(layer, evidence, settings))).map(relu);
    const enlarge = aligned(layer, evidence);
    return {
      raw: together(maps),
      maps: together(maps.map((map, n) => minMax(enlarge(map), eps * Math.exp(-factor(evidence, n))))),
    };
  }, options);
}

/**
 * tf-keras-vis (Yasuhiro Kubota; 8bb8392, release 0.8.7), with its defaults and with a model whose softmax was replaced by the scores.
 *
 * Of every CAM: relu; enlarged linearly with aligned corners (scipy's zoom, order 1); (x − min) / (max − min + 10⁻⁷). By method, where
 * it is not the definition:
 *
 * * `grad-cam++`: α is divided in each channel by its sum over all positions, of either sign of the gradient; a sum of 0 counts as 1. The
 *   map keeps the factor e^S, which makes its 10⁻⁷ smaller.
 * * `score-cam`: the weights are the target's probabilities themselves, not a softmax of scores over the channels; M_k is enlarged with aligned
 *   corners, (x − min) / (max − min + 10⁻⁷). `channels` is its max_N.
 * * `saliency`: as defined, with the 10⁻⁷.
 * * `smooth-grad`: the mean of the magnitudes of the gradients, and the largest over the channels. The noise, of `sigma` of the picture's
 *   range, is ours: it draws without a seed.
 *
 * `grad-cam` and `layer-cam` are as defined.
 */
export const tfKerasVis: Peer = {
  modifiers: [],
  axes: [1, 2, 3],
  methods: {
    'grad-cam++': cam(async (layer, { gradients }) => ofChannels(layer, await gradients(), plusPlus), {
      factor: ({ values }, n) => values[n],
    }),
    'grad-cam': cam(async (layer, { gradients }) =>
      ofChannels(layer, await gradients(), (_, own) => sum(own) / own.length),
    ),
    'layer-cam': cam(async (_, { gradients }) => (await gradients()).map((g) => Math.max(0, g))),
    'score-cam': cam(
      async (layer, evidence, { channels }) => {
        const enlarge = aligned(layer, evidence);
        const maskOf = (channel: Float64Array) => minMax(enlarge(channel), eps);
        const weights = await scoresUnder(evidence, maskOf, { as: 'probability', channels });
        return byRow(weights, layer, (row) =>
          row.map((value) => (value === Number.NEGATIVE_INFINITY ? 0 : value)),
        );
      },
      { options: ['channels'] },
    ),
    saliency: peerMethod(async (evidence) => ({
      maps: largestOfChannels(evidence, (await evidence.inputGradients()).map(Math.abs)),
    })),
    'smooth-grad': peerMethod(
      async (evidence, settings) => {
        const own = settings as { samples: number; sigma: number; seed: number };
        const total = new Float64Array(evidence.input.length);
        evidence.expect(own.samples);
        for (const noisy of noisyPictures(evidence, own))
          (await evidence.inputGradients(noisy)).forEach((value, i) => {
            total[i] += Math.abs(value) / own.samples;
          });
        return { maps: largestOfChannels(evidence, total) };
      },
      ['samples', 'sigma', 'seed'],
    ),
  },
};

function aligned({ dims }: LayerValues, { size }: Evidence): (map: Float64Array) => Float64Array {
  const own = size.slice(-dims.length);
  return linearUpsampler(dims, own, alignedTaps);
}

function plusPlus(A: Float32Array, gradients: Float32Array): number {
  const total = sum(A);
  let [weight, alphas] = [0, 0];
  for (const g of gradients) {
    const alpha = ratio(g * g, 2 * g * g + g * g * g * total);
    weight += alpha * Math.max(0, g);
    alphas += alpha;
  }
  return weight / (alphas || 1);
}

/** Of each picture: the largest value of a pixel's channels, normalised. */
function largestOfChannels(
  { images, inputDims, channelAxis }: Evidence,
  values: ArrayLike<number>,
): Float32Array {
  const channels = channelAxis < 0 ? 1 : inputDims[channelAxis];
  const inner = channelAxis < 0 ? 1 : sizeOf(inputDims.slice(channelAxis + 1));
  const P = sizeOf(inputDims) / channels;
  return together(
    Array.from({ length: images }, (_, n) => {
      const map = new Float64Array(P);
      for (let i = 0; i < P * channels; i++) {
        const place = Math.floor(i / (inner * channels)) * inner + (i % inner);
        map[place] = Math.max(map[place], values[n * P * channels + i]);
      }
      return minMax(map, eps);
    }),
  );
}
