import type { MapRequest, MapSettings } from '../../src/map/backend.js';
import { defaultSettings } from '../../src/map/compute.js';
import type { Moments } from '../../src/methods/common/method.js';
import { randomNumbers } from './random.js';

/** A request that every backend must answer, and where its right answer comes from. */
export interface Vector {
  readonly name: string;
  /** `by hand`: `expected` was computed with pencil and fractions; `reference`: compare with the reference backend. */
  readonly origin: 'by hand' | 'reference';
  readonly request: () => MapRequest;
  readonly expected?: { raw: number[]; maps: number[]; empty: number[] };
  /** Why the derived bound says little here (cancellation, K in the thousands); otherwise it must be below 1 %. */
  readonly loose?: string;
}

// --- by hand -------------------------------------------------------------------------------------------------------

interface Small extends Partial<MapSettings> {
  images?: number;
  channels?: number;
  layer: number[];
  size: number[];
  A: number[];
  g?: number[][];
  weights?: number[][];
  moments?: { mean: number[]; variance: number[]; third: number[] };
}

function small({
  images = 1,
  channels = 1,
  layer,
  size,
  A,
  g = [],
  weights,
  moments,
  ...settings
}: Small): MapRequest {
  return {
    ...defaultSettings,
    ...settings,
    images,
    channels,
    layer,
    size,
    activations: Float32Array.from(A),
    gradients: g.map((target) => Float32Array.from(target)),
    ...(weights && { weights: weights.map((target) => Float32Array.from(target)) }),
    ...(moments && {
      moments: {
        mean: Float32Array.from(moments.mean),
        variance: Float32Array.from(moments.variance),
        third: Float32Array.from(moments.third),
      },
    }),
  };
}

const byHand: Vector[] = (
  [
    {
      // ΣA = 4: α = 1/(2+4), 1/(2+8); w = 1/6 + 2/10 = 11/30. Size 2 → 4: coordinates 0 (clamped), ¼, ¾, 1 (clamped).
      name: 'Grad-CAM++, Eq. 19, one channel of two positions',
      request: { layer: [2], size: [4], A: [1, 3], g: [[1, 2]] },
      expected: { raw: [11 / 30, 33 / 30], maps: [0, 0.25, 0.75, 1], empty: [0] },
    },
    {
      name: 'Grad-CAM++, the negative gradient is cut off',
      request: { layer: [2], size: [2], A: [1, 3], g: [[1, -1]] },
      expected: { raw: [1 / 6, 3 / 6], maps: [0, 1], empty: [0] },
    },
    {
      // Without the ReLU: α = 1/6 and 1/(2−4) = −½; w = 1/6 + ½ = 2/3.
      name: 'Grad-CAM++ without the ReLU on the gradient',
      request: { layer: [2], size: [2], A: [1, 3], g: [[1, -1]], gradientRelu: false },
      expected: { raw: [2 / 3, 2], maps: [0, 1], empty: [0] },
    },
    {
      // Σα = 1/6 + 1/10 = 8/30; w = 11/30 / (8/30) = 11/8.
      name: 'Grad-CAM++ with α normalised',
      request: { layer: [2], size: [2], A: [1, 3], g: [[1, 2]], alphaNormalization: true },
      expected: { raw: [11 / 8, 33 / 8], maps: [0, 1], empty: [0] },
    },
    {
      // α = 1/6, −½: the sum over positive gradients is 1/6; w = (1/6 + ½)/(1/6) = 4.
      name: 'Grad-CAM++ with α normalised and without the ReLU',
      request: {
        layer: [2],
        size: [2],
        A: [1, 3],
        g: [[1, -1]],
        alphaNormalization: true,
        gradientRelu: false,
      },
      expected: { raw: [4, 12], maps: [0, 1], empty: [0] },
    },
    {
      // No positive gradient: the sum of α is zero, and a denominator of zero gives zero.
      name: 'Grad-CAM++ with α normalised, no positive gradient',
      request: {
        layer: [2],
        size: [2],
        A: [1, 3],
        g: [[-1, -1]],
        alphaNormalization: true,
        gradientRelu: false,
      },
      expected: { raw: [0, 0], maps: [0, 0], empty: [1] },
    },
    {
      // ΣA = −2: at g = 1 the denominator 2 + g ΣA is zero, α = 0; at g = ½ α = 1; w = ½.
      name: 'Grad-CAM++ with a denominator of zero',
      request: { layer: [2], size: [2], A: [-3, 1], g: [[1, 0.5]] },
      expected: { raw: [0, 0.5], maps: [0, 1], empty: [0] },
    },
    {
      // d = 2, 0; Y″ = 4−1 = 3, Y‴ = 8−6−0 = 2, ΣA = 4: α = 3/(6+8); w = 2·3/14 = 3/7.
      name: 'Grad-CAM++, softmax form',
      request: {
        layer: [2],
        size: [2],
        A: [1, 3],
        g: [[3, 1]],
        form: 'softmax',
        moments: { mean: [1, 1], variance: [1, 0], third: [0, 0] },
      },
      expected: { raw: [3 / 7, 9 / 7], maps: [0, 1], empty: [0] },
    },
    {
      // d = 2, −1. Position 0: Y″ = 3, Y‴ = 2+1 = 3 (κ = −1), α = 3/(6+12) = 1/6.
      // Position 1: Y″ = 1−2 = −1, Y‴ = −1+6−1 = 4 (κ = 1), α = −1/(−2+16) = −1/14; w = 2/6 + 1/14 = 17/42.
      name: 'Grad-CAM++, softmax form without the ReLU',
      request: {
        layer: [2],
        size: [2],
        A: [1, 3],
        g: [[3, 0]],
        form: 'softmax',
        gradientRelu: false,
        moments: { mean: [1, 1], variance: [1, 2], third: [-1, 1] },
      },
      expected: { raw: [17 / 42, 51 / 42], maps: [0, 1], empty: [0] },
    },
    {
      // α = 3/14 at the one position with d > 0: w = (2 · 3/14)/(3/14) = 2.
      name: 'Grad-CAM++, softmax form with α normalised',
      request: {
        layer: [2],
        size: [2],
        A: [1, 3],
        g: [[3, 1]],
        form: 'softmax',
        alphaNormalization: true,
        moments: { mean: [1, 1], variance: [1, 0], third: [0, 0] },
      },
      expected: { raw: [2, 6], maps: [0, 1], empty: [0] },
    },
    {
      // Means ½ and −1: [4, 2, 0, 2] / 2 − [0, 1, 0, 2] = [2, 0, 0, −1].
      name: 'Grad-CAM, two channels of 2 × 2',
      request: {
        method: 'grad-cam',
        channels: 2,
        layer: [2, 2],
        size: [2, 2],
        A: [4, 2, 0, 2, 0, 1, 0, 2],
        g: [[1, 1, 0, 0, -1, -1, -1, -1]],
      },
      expected: { raw: [2, 0, 0, 0], maps: [1, 0, 0, 0], empty: [0] },
    },
    {
      // Rows 1, 1¼, 1¾, 2 and 3 … 4, then ¼ and ¾ of the way between them.
      name: 'Grad-CAM, bilinear 2 × 2 → 4 × 4',
      request: { method: 'grad-cam', layer: [2, 2], size: [4, 4], A: [1, 2, 3, 4], g: [[1, 1, 1, 1]] },
      expected: {
        raw: [1, 2, 3, 4],
        maps: [0, 1, 3, 4, 2, 3, 5, 6, 6, 7, 9, 10, 8, 9, 11, 12].map((v) => v / 12),
        empty: [0],
      },
    },
    {
      // Shorter: coordinates ½ and 2½, halfway between two neighbours; 2, 4 → 0, 1.
      name: 'Grad-CAM, linear 4 → 2',
      request: { method: 'grad-cam', layer: [4], size: [2], A: [1, 3, 3, 5], g: [[1, 1, 1, 1]] },
      expected: { raw: [1, 3, 3, 5], maps: [0, 1], empty: [0] },
    },
    {
      // Trilinear, two values along t only: 0 (clamped), ¼, ¾, 1 of the way, constant over each frame.
      name: 'Grad-CAM, trilinear 2 × 1 × 2 → 4 × 2 × 2',
      request: { method: 'grad-cam', layer: [2, 1, 2], size: [4, 2, 2], A: [1, 1, 5, 5], g: [[1, 1, 1, 1]] },
      expected: {
        raw: [1, 1, 5, 5],
        maps: [0, 0.25, 0.75, 1].flatMap((v) => [v, v, v, v]),
        empty: [0],
      },
    },
    {
      // Channel 0: ΣAg/ΣA = (1·1 + 3·2)/4 = 7/4; channel 1: ΣA = 0, weight 0.
      name: 'XGrad-CAM, one channel whose activations add up to zero',
      request: {
        method: 'xgrad-cam',
        channels: 2,
        layer: [2],
        size: [2],
        A: [1, 3, -1, 1],
        g: [[1, 2, 5, 5]],
      },
      expected: { raw: [7 / 4, 21 / 4], maps: [0, 1], empty: [0] },
    },
    {
      name: 'HiResCAM, two channels',
      request: {
        method: 'hires-cam',
        channels: 2,
        layer: [3],
        size: [3],
        A: [1, 2, 3, 4, 5, 6],
        g: [[1, -1, 2, 0, 1, -1]],
      },
      expected: { raw: [1, 3, 0], maps: [1 / 3, 1, 0], empty: [0] },
    },
    {
      name: 'LayerCAM, two channels',
      request: {
        method: 'layer-cam',
        channels: 2,
        layer: [3],
        size: [3],
        A: [1, 2, 3, 4, 5, 6],
        g: [[1, -1, 2, 0, 1, -1]],
      },
      expected: { raw: [1, 5, 6], maps: [0, 0.8, 1], empty: [0] },
    },
    {
      name: 'CAM, two targets with their own weights',
      request: {
        method: 'cam',
        channels: 2,
        layer: [2],
        size: [2],
        A: [1, 2, 3, 4],
        weights: [
          [2, 1],
          [1, -1],
        ],
      },
      expected: { raw: [5, 8, 0, 0], maps: [0, 1, 0, 0], empty: [0, 1] },
    },
    {
      name: 'two images and two targets keep their places',
      request: {
        method: 'grad-cam',
        images: 2,
        layer: [2],
        size: [2],
        A: [1, 2, 4, 3],
        g: [
          [1, 1, 2, 2],
          [-1, -1, 1, 3],
        ],
      },
      // target 0: image 0, image 1; target 1: image 0 (negative: empty), image 1
      expected: { raw: [1, 2, 8, 6, 0, 0, 8, 6], maps: [0, 1, 1, 0, 0, 0, 1, 0], empty: [0, 0, 1, 0] },
    },
    {
      name: 'one position: a constant map is 1 everywhere',
      request: { layer: [1, 1], size: [2, 3], A: [2], g: [[1]] },
      expected: { raw: [0.5], maps: [1, 1, 1, 1, 1, 1], empty: [0] },
    },
    {
      name: 'constant activations: a constant map is 1 everywhere',
      request: { method: 'grad-cam', layer: [3], size: [7], A: [3, 3, 3], g: [[0.25, 0.5, 0.75]] },
      expected: { raw: [1.5, 1.5, 1.5], maps: [1, 1, 1, 1, 1, 1, 1], empty: [0] },
    },
    {
      name: 'zero gradients: an empty map',
      request: { layer: [2, 2], size: [3, 3], A: [1, 2, 3, 4], g: [[0, 0, 0, 0]] },
      expected: { raw: [0, 0, 0, 0], maps: [0, 0, 0, 0, 0, 0, 0, 0, 0], empty: [1] },
    },
    {
      name: 'a negative map is empty',
      request: { method: 'grad-cam', layer: [2], size: [2], A: [1, 2], g: [[-1, -1]] },
      expected: { raw: [0, 0], maps: [0, 0], empty: [1] },
    },
  ] satisfies { name: string; request: Small; expected: Vector['expected'] }[]
).map(({ name, request, expected }) => ({
  name,
  origin: 'by hand',
  request: () => small(request),
  expected,
}));

// --- random, against the reference ---------------------------------------------------------------------------------

export interface RandomShape extends Partial<MapSettings> {
  images?: number;
  channels: number;
  layer: number[];
  size: number[];
  targets?: number;
  /** Magnitudes of the activations and gradients. */
  scale?: readonly [activations: number, gradients: number];
  /** Activations as after a ReLU (default), or of both signs. */
  signed?: boolean;
  seed?: number;
}

/** Random numbers of a network's kind: rectified activations, small gradients of both signs, some exact zeros. */
export function randomRequest(shape: RandomShape): MapRequest {
  const {
    images = 1,
    channels,
    layer,
    size,
    targets = 1,
    scale = [1, 0.01],
    signed = false,
    seed = 1,
    ...settings
  } = shape;
  const random = randomNumbers(seed);
  const positions = layer.reduce((a, b) => a * b, 1);
  const elements = images * channels * positions;
  const activations = new Float32Array(elements);
  for (let i = 0; i < elements; i++) {
    const value = random() - (signed ? 0.4 : 0.3);
    activations[i] = scale[0] * (signed ? value : Math.max(0, value));
  }
  // A channel has its own mean, so that maps do not drown in cancellation.
  const gradient = (): Float32Array => {
    const array = new Float32Array(elements);
    for (let plane = 0; plane < images * channels; plane++) {
      const mean = random() - 0.3;
      for (let p = 0; p < positions; p++)
        array[plane * positions + p] = random() < 0.05 ? 0 : scale[1] * (mean + (random() - 0.5));
    }
    return array;
  };
  const full = { ...defaultSettings, ...settings };
  return {
    ...full,
    images,
    channels,
    layer,
    size,
    activations,
    gradients: full.method === 'cam' ? [] : Array.from({ length: targets }, gradient),
    ...(full.method === 'cam' && {
      weights: Array.from({ length: targets }, () =>
        Float32Array.from({ length: images * channels }, () => scale[1] * (random() - 0.4)),
      ),
    }),
    ...(full.method === 'grad-cam++' && full.form === 'softmax' && { moments: momentsOf(random, gradient) }),
  };
}

/** The moments of four classes' gradients under random probabilities, in float64, rounded once. */
function momentsOf(random: () => number, gradient: () => Float32Array): Moments {
  const classes = Array.from({ length: 4 }, gradient);
  const exps = classes.map(() => Math.exp(3 * random()));
  const total = exps.reduce((a, b) => a + b);
  const mean = new Float32Array(classes[0].length);
  const variance = new Float32Array(mean.length);
  const third = new Float32Array(mean.length);
  for (let i = 0; i < mean.length; i++) {
    let mu = 0;
    classes.forEach((g, m) => {
      mu += (exps[m] / total) * g[i];
    });
    let v = 0;
    let k = 0;
    classes.forEach((g, m) => {
      v += (exps[m] / total) * (g[i] - mu) ** 2;
      k += (exps[m] / total) * (g[i] - mu) ** 3;
    });
    mean[i] = mu;
    variance[i] = v;
    third[i] = k;
  }
  return { mean, variance, third };
}

/** Every method, and for Grad-CAM++ every form and option. */
export const allSettings: readonly Partial<MapSettings>[] = [
  ...(['exp', 'softmax'] as const).flatMap((form) =>
    [true, false].flatMap((gradientRelu) =>
      [false, true].map((alphaNormalization) => ({
        method: 'grad-cam++' as const,
        form,
        gradientRelu,
        alphaNormalization,
      })),
    ),
  ),
  ...(['grad-cam', 'cam', 'xgrad-cam', 'hires-cam', 'layer-cam'] as const).map((method) => ({ method })),
];

function nameOf(settings: Partial<MapSettings>): string {
  const { method, form, gradientRelu, alphaNormalization } = settings;
  return [
    method ?? 'grad-cam++',
    form === 'softmax' && form,
    gradientRelu === false && 'no ReLU',
    alphaNormalization && 'α normalised',
  ]
    .filter(Boolean)
    .join(', ');
}

/** Without the softmax form: its α passes through a pole where 2Y″ + Y‴ ΣA changes sign. */
const pole = 'the softmax form has poles near which the bound grows';
const withoutSoftmax = allSettings.filter((settings) => settings.form !== 'softmax');
const cancels = 'signed activations cancel in the sums';
const many = 'the bound grows with K';

const shapes: { name: string; shape: RandomShape; loose?: string; only?: Partial<MapSettings>[] }[] = [
  { name: '7 × 7 → 32 × 32', shape: { channels: 12, layer: [7, 7], size: [32, 32] } },
  {
    name: '5 × 9 → 31 × 17, 3 images, 2 targets',
    shape: { images: 3, targets: 2, channels: 7, layer: [5, 9], size: [31, 17] },
  },
  { name: '1-D, 13 → 50', shape: { channels: 6, layer: [13], size: [50] } },
  {
    name: '3-D, 2 × 5 × 4 → 6 × 11 × 9',
    shape: { images: 2, channels: 5, layer: [2, 5, 4], size: [6, 11, 9] },
  },
  { name: 'shorter than the layer, 9 × 8 → 4 × 3', shape: { channels: 6, layer: [9, 8], size: [4, 3] } },
  { name: 'as long as the layer, 6 × 6', shape: { channels: 6, layer: [6, 6], size: [6, 6] } },
  { name: 'one channel', shape: { images: 4, channels: 1, layer: [4, 4], size: [9, 9] } },
  { name: 'one position, three channels', shape: { images: 3, channels: 3, layer: [1, 1], size: [5, 5] } },
  {
    name: 'signed activations',
    shape: { channels: 9, layer: [6, 7], size: [20, 20], signed: true },
    loose: cancels,
  },
  ...[63, 64, 65].map((w) => ({
    name: `${w} wide`,
    shape: { channels: 3, layer: [3, w], size: [9, 2 * w + 1] },
    only: [
      {},
      { method: 'grad-cam' as const },
      { method: 'layer-cam' as const },
      { form: 'softmax' as const },
    ],
  })),
  {
    name: '64 images',
    shape: { images: 64, channels: 8, layer: [3, 3], size: [12, 12] },
    only: [{}, { form: 'softmax' }],
  },
  {
    name: 'K = 2048, 7 × 7 → 224 × 224',
    shape: { images: 2, channels: 2048, layer: [7, 7], size: [224, 224] },
    loose: many,
    only: [{}, { method: 'grad-cam' }, { method: 'xgrad-cam' }, { method: 'hires-cam' }, { form: 'softmax' }],
  },
  {
    name: 'K = 8191, 3 × 3 → 10 × 10',
    shape: { channels: 8191, layer: [3, 3], size: [10, 10] },
    loose: many,
    only: [
      {},
      { method: 'grad-cam' },
      { method: 'layer-cam' },
      { form: 'softmax', alphaNormalization: true },
    ],
  },
  {
    name: 'K = 8192, one position',
    shape: { channels: 8192, layer: [1], size: [3] },
    loose: many,
    only: [{}, { method: 'cam' }],
  },
  {
    name: '112 × 112 → 224 × 224',
    shape: { channels: 4, layer: [112, 112], size: [224, 224] },
    loose: 'the bound grows with the number of positions',
    only: [{}, { method: 'grad-cam' }, { method: 'hires-cam' }, { form: 'softmax' }],
  },
  ...(
    [
      [1e6, 1e6],
      [1e-6, 1e-6],
      [1e6, 1e-6],
      [1e-6, 1e6],
    ] as const
  ).map((scale) => ({
    name: `magnitudes ${scale[0]} and ${scale[1]}`,
    shape: { channels: 6, layer: [5, 5], size: [12, 12], scale },
  })),
  {
    name: 'subnormal gradients',
    shape: { channels: 6, layer: [5, 5], size: [12, 12], scale: [1, 1e-40] },
    loose: 'a backend may flush subnormal numbers',
  },
  {
    name: 'subnormal activations',
    shape: { channels: 6, layer: [5, 5], size: [12, 12], scale: [1e-40, 1] },
    loose: 'a backend may flush subnormal numbers',
  },
  {
    name: 'numbers near the ends of float32',
    shape: { channels: 3, layer: [4, 4], size: [8, 8], scale: [1e30, 1e30] },
    only: withoutSoftmax,
    loose: 'a backend may overflow float32 in between; it must not answer NaN or Infinity',
  },
];

const random: Vector[] = shapes.flatMap(({ name, shape, loose, only = allSettings }) =>
  only.map((settings, i) => ({
    name: `${name}: ${nameOf(settings)}`,
    origin: 'reference' as const,
    request: () => randomRequest({ ...shape, ...settings, seed: 1000 * (shape.seed ?? 1) + i }),
    loose: loose ?? (settings.form === 'softmax' ? pole : undefined),
  })),
);

/** The one set of vectors that every backend answers. */
export const vectors: readonly Vector[] = [...byHand, ...random];
