import { linearUpsampler } from '../../upsample.js';
import type { Evidence, LayerValues } from '../common/evidence.js';
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

const eps = 1e-8;
const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);

function cam(
  find: (layer: LayerValues, evidence: Evidence) => Promise<ArrayLike<number>>,
  rectify: (values: Float64Array) => Float64Array = relu,
): PeerMethod {
  return peerMethod(async (evidence) => {
    const { layer, size } = evidence;
    const maps = sumsOf(layer, weighted(layer, await find(layer, evidence))).map((map) =>
      minMax(rectify(map), eps),
    );
    return enlarged(maps, layer, size);
  });
}

/**
 * torch-cam (François-Guillaume Fernandez and others; f44afef, release 0.5.0).
 *
 * Of every method: relu; (x − min) / (max − min + 10⁻⁸) at layer size, which is where it stops: `raw` is what it returns, and `map`
 * the same enlarged linearly (half-pixel centres), as its fuse_cams does, not normalised anew. By method, where it is not the definition:
 *
 * * `grad-cam++`: w_k = Σ relu(g) g². The division that would make α of g² is applied to a copy and lost.
 * * `xgrad-cam`: w_k = Σ g A / (ΣA + 10⁻⁸).
 * * `score-cam`: M_k = (x − min) / (max − min + 10⁻⁸) of A_k at layer size, enlarged afterwards (the nearest value for signals); all
 *   channels.
 * * `cam`: without the ReLU.
 *
 * `grad-cam` and `layer-cam` are as defined. Its SmoothGradCAMpp draws noise without a seed, and is left out.
 */
export const torchCam: Peer = {
  modifiers: [],
  axes: [1, 2, 3],
  methods: {
    'grad-cam++': cam(async (layer, { gradients }) =>
      ofChannels(layer, await gradients(), (_, own) => own.reduce((w, g) => (g > 0 ? w + g * g * g : w), 0)),
    ),
    'grad-cam': cam(async (layer, { gradients }) =>
      ofChannels(layer, await gradients(), (_, own) => sum(own) / own.length),
    ),
    cam: cam(
      async (layer, { gradients }) => ofChannels(layer, await gradients(), (_, own) => sum(own)),
      (values) => values,
    ),
    'xgrad-cam': cam(async (layer, { gradients }) =>
      ofChannels(
        layer,
        await gradients(),
        (A, own) => own.reduce((w, g, i) => w + g * A[i], 0) / (sum(A) + eps),
      ),
    ),
    'layer-cam': cam(async (_, { gradients }) => (await gradients()).map((g) => Math.max(0, g))),
    'score-cam': cam(async (layer, evidence) => {
      const size = evidence.size.slice(-layer.dims.length);
      const enlarge = size.length === 1 ? nearest(size[0]) : linearUpsampler(layer.dims, size);
      const scores = await scoresUnder(evidence, (channel) => enlarge(minMax(channel, eps)));
      return byRow(scores, layer, softmax);
    }),
  },
};

function enlarged(maps: readonly Float64Array[], { dims }: LayerValues, size: readonly number[]): PeerMaps {
  const enlarge = linearUpsampler(dims, size.slice(-dims.length));
  return { raw: together(maps), maps: together(maps.map((map) => Float32Array.from(enlarge(map)))) };
}

/** The value at floor(i · from / to). */
function nearest(to: number): (values: Float64Array) => Float64Array {
  return (values) =>
    Float64Array.from({ length: to }, (_, i) => values[Math.floor((i * values.length) / to)]);
}
