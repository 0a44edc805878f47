import { alignedTaps, linearUpsampler } from '../../upsample.js';
import { firstPrincipalMap } from '../eigen-grad-cam.js';
import { picturesOf } from '../eigen-cam.js';
import type { Change, Evidence, LayerValues } from '../common/evidence.js';
import { shareOfStrong } from '../fem.js';
import { softmax } from '../score-cam.js';
import {
  byRow,
  minMax,
  ofChannels,
  type Peer,
  type PeerMaps,
  type PeerMethod,
  peerMethod,
  relu,
  scoresUnder,
  sumsOf,
  together,
  weighted,
} from './peer.js';

const sizeOfChannel = (A: Float32Array) => A.reduce((sum, value) => sum + value, 0);
const mean = (values: Float32Array) => sizeOfChannel(values) / values.length;

/** What a method weighs the channels to: [N, K, P]. */
type Weigh = (evidence: Evidence) => Promise<Float64Array>;

/** The sum of weighted channels, or with `eigen` their first principal map. */
function sumOf(weigh: Weigh): PeerMethod {
  return peerMethod(async (evidence, { eigen }) => {
    const values = await weigh(evidence);
    return finished(evidence, eigen ? principals(evidence.layer, values) : sumsOf(evidence.layer, values));
  });
}

/** The first principal map of weighted channels. */
function principalOf(weigh: Weigh): PeerMethod {
  return peerMethod(async (evidence) =>
    finished(evidence, principals(evidence.layer, await weigh(evidence))),
  );
}

const weights =
  (find: (layer: LayerValues, evidence: Evidence) => Promise<Float64Array> | Float64Array): Weigh =>
  async (evidence) =>
    weighted(evidence.layer, await find(evidence.layer, evidence));

/**
 * pytorch-grad-cam (Jacob Gildenblat and others; 084273b, package 1.5.5), for pictures.
 *
 * Of every method: relu; (x − min) / (max − min + 10⁻⁷) at layer size; enlarged linearly (half-pixel centres); the mean over the
 * layers; (x − min) / (max − min + 10⁻⁷) again. `aug` is its aug_smooth, `eigen` its eigen_smooth. By method, where it is not the
 * definition:
 *
 * * `grad-cam++`: α = g² / (2g² + g³ ΣA + 10⁻⁶), an absolute number, which counts where g is small.
 * * `xgrad-cam`: w_k = Σ g A / (ΣA + 10⁻⁷).
 * * `eigen-cam`, `eigen-grad-cam` and `eigen`: each channel's mean is subtracted first. The sign is left to its linear algebra; here it
 *   is that of the sum, as everywhere.
 * * `score-cam`: M_k = (x − min) / (max − min + 10⁻⁸) of A_k enlarged linearly with aligned corners; all channels.
 * * `ablation-cam`: w_k = (S − S_k) / S, which turns the map over where S < 0. Where the picture's least activation is not 0, an
 *   ablated channel is not 0 but far below: the least of all activations of the pass − 10⁷, so 10⁷ lower from channel to channel, in
 *   passes of 32. All channels.
 * * `shapley-cam`: T is the target itself, not its log-probability, so that H A vanishes behind a head of ReLU and linear layers.
 *
 * `grad-cam`, `hires-cam`, `layer-cam` and `fem` are as defined.
 */
export const pytorchGradCam: Peer = {
  modifiers: ['aug', 'eigen'],
  axes: [2],
  merge: (maps, images) => {
    const size = maps[0].length / images;
    const total = maps[0].map((_, i) => maps.reduce((sum, map) => sum + map[i], 0) / maps.length);
    return together(
      Array.from({ length: images }, (_, n) => minMax(total.subarray(n * size, (n + 1) * size), 1e-7)),
    );
  },
  methods: {
    'grad-cam++': sumOf(
      weights(async (layer, { gradients }) => ofChannels(layer, await gradients(), plusPlus)),
    ),
    'grad-cam': sumOf(
      weights(async (layer, { gradients }) => ofChannels(layer, await gradients(), (_, g) => mean(g))),
    ),
    'xgrad-cam': sumOf(weights(async (layer, { gradients }) => ofChannels(layer, await gradients(), xGrad))),
    'hires-cam': sumOf(async ({ layer, gradients }) => weighted(layer, await gradients())),
    'layer-cam': sumOf(async ({ layer, gradients }) =>
      weighted(
        layer,
        (await gradients()).map((g) => Math.max(0, g)),
      ),
    ),
    'eigen-cam': principalOf(async ({ layer }) => Float64Array.from(layer.activations)),
    'eigen-grad-cam': principalOf(async ({ layer, gradients }) => weighted(layer, await gradients())),
    'shapley-cam': sumOf(
      weights(async (layer, { secondDerivatives }) => {
        const { gradients, product } = await secondDerivatives('value');
        return ofChannels(
          layer,
          gradients.map((g, i) => g - product[i] / 2),
          (_, w) => mean(w),
        );
      }),
    ),
    fem: sumOf(weights((layer) => ofChannels(layer, layer.activations, shareOfStrong))),
    'ablation-cam': sumOf(weights((_, evidence) => ablated(evidence))),
    'score-cam': sumOf(
      weights(async (layer, evidence) => {
        const enlarge = linearUpsampler(layer.dims, evidence.size, alignedTaps);
        const scores = await scoresUnder(evidence, (channel) => minMax(enlarge(channel), 1e-8));
        return byRow(scores, layer, softmax);
      }),
    ),
  },
};

/** Maps at layer size, before the ReLU, as the package scales and enlarges them. */
export function finished(
  { layer, size }: Pick<Evidence, 'layer' | 'size'>,
  maps: readonly Float64Array[],
): PeerMaps {
  const enlarge = linearUpsampler(layer.dims, size);
  const positive = maps.map(relu);
  return {
    raw: together(positive),
    maps: together(positive.map((map) => Float32Array.from(enlarge(minMax(map, 1e-7))))),
  };
}

function plusPlus(A: Float32Array, gradients: Float32Array): number {
  const sum = sizeOfChannel(A);
  return gradients.reduce((w, g) => (g > 0 ? w + (g * g * g) / (2 * g * g + sum * g * g * g + 1e-6) : w), 0);
}

function xGrad(A: Float32Array, gradients: Float32Array): number {
  return gradients.reduce((w, g, i) => w + g * A[i], 0) / (sizeOfChannel(A) + 1e-7);
}

/** Of each picture: the first principal map of its weighted channels, each without its mean. */
export function principals(
  { channels, dims }: Pick<LayerValues, 'channels' | 'dims'>,
  values: Float64Array,
): Float64Array[] {
  const layer = { activations: Float32Array.from(values), channels, dims };
  return picturesOf(layer, layer.activations).map((planes) => {
    const P = planes.length / channels;
    const sum = new Float64Array(P);
    for (let i = 0; i < planes.length; i++) sum[i % P] += planes[i];
    const centred = planes.slice();
    for (let at = 0; at < planes.length; at += P) {
      const own = mean(planes.subarray(at, at + P));
      for (let i = at; i < at + P; i++) centred[i] -= own;
    }
    return firstPrincipalMap(centred, channels);
  });
}

/** Channels that are ablated in one pass. */
const ablatedAtOnce = 32;

async function ablated(evidence: Evidence): Promise<Float64Array> {
  const { layer, values } = evidence;
  const weights = new Float64Array(values.length * layer.channels);
  const changes: Change[] = [];
  for (const [n, picture] of picturesOf(layer, layer.activations).entries()) {
    const P = picture.length / layer.channels;
    const least = picture.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    let value = least;
    for (let k = 0; k < layer.channels; k++) {
      if (k % ablatedAtOnce === 0) value = least;
      value = value === 0 ? 0 : Math.fround(value - 1e7);
      const fill = value;
      changes.push({
        of: n,
        fill: (out) => {
          out.set(picture);
          out.fill(fill, k * P, (k + 1) * P);
        },
        take: (score) => {
          weights[n * layer.channels + k] = (values[n] - score) / values[n];
        },
      });
    }
  }
  await evidence.headPass(changes);
  return weights;
}
