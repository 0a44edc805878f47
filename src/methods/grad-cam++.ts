import { choice, yesOrNo } from '../options.js';
import { channelMethod, type Plane, ratio, ratioNodes, sumNodes, sumOfActivations } from './common/method.js';

/** Which smooth function Y of the scores is differentiated: exp(S_c) (paper Eq. 19) or softmax(S)_c. */
export const forms = ['exp', 'softmax'] as const;
export type Form = (typeof forms)[number];

const options = {
  /** Y = exp(S_c), paper Eq. 19 (default), or Y = softmax(S)_c. */
  form: choice(forms, {
    default: 'exp',
    help: 'Grad-CAM++ of exp or softmax of the scores',
    flag: '--form <form>',
  }),
  /** Divide α by its sum over the positions with positive gradient, per channel, as the authors' code does; default false. */
  alphaNormalization: yesOrNo({
    default: false,
    help: 'Grad-CAM++ with normalised alphas',
    flag: '--alpha-normalization',
  }),
  /** Weigh by relu(∂Y/∂A) (paper Eq. 11, default), or by ∂Y/∂A (the paper's ablation). */
  gradientRelu: yesOrNo({
    default: true,
    help: 'Grad-CAM++ with gradients of either sign',
    flag: '--no-gradient-relu',
  }),
};

/**
 * Grad-CAM++, Chattopadhyay et al., arXiv 1710.11063.
 *
 * w_k = Σ_ij α_ij relu(∂Y/∂A_ij), α_ij = Y″ / (2Y″ + Y‴ Σ_ab A_ab) (Eq. 10, 11), map relu(Σ_k w_k A_k).
 *
 * Exponential form, Y = e^S (Eq. 19): α = g² / (2g² + g³ ΣA). With the common factor g² taken out, α = 1 / (2 + g ΣA)
 * where g ≠ 0: the same number, without g³ under- or overflowing. Softmax form: in cumulants, with d = g − μ,
 * Y′ = p d, Y″ = p (d² − V), Y‴ = p (d³ − 3dV − κ); p cancels in α.
 *
 * Where we differ from the paper: the factor e^S (or p_c) scales the whole map of a picture and is left out of the weights,
 * `logScale` has its logarithm; α is 0 where the denominator or the gradient is; derivatives of S of order two and above are
 * taken as zero, as the paper does for heads that are piecewise linear.
 */
export const gradCamPlusPlus = channelMethod({
  name: 'grad-cam++',
  kind: 'channel',
  source: 'arXiv 1710.11063, Eq. 10, 11, 19',
  formula: 'w_k = Σ α relu(∂Y/∂A), α = Y″ / (2Y″ + Y‴ ΣA)',
  needs: ['activations', 'gradients'],
  alsoNeeds: ({ form }) => (form === 'softmax' ? ['moments'] : []),
  hasTarget: true,
  options,
  weight: (plane, { form, alphaNormalization, gradientRelu }) => {
    const sum = sumOfActivations(plane);
    const derivative = form === 'softmax' ? softmax(plane, sum) : exponential(plane, sum);
    const count = plane.gradientStep === 0 ? 1 : plane.positions; // all positions are alike
    let weight = 0;
    let alphas = 0;
    for (let p = 0; p < count; p++) {
      const slope = derivative.slope(p);
      if (slope <= 0 && gradientRelu) continue;
      const alpha = derivative.alpha(p);
      weight += alpha * slope;
      if (slope > 0) alphas += alpha;
    }
    return alphaNormalization ? ratio(weight, alphas) : (weight * plane.positions) / count;
  },
  nodes: (b, layer, { form, alphaNormalization, gradientRelu }) => {
    const { activations, gradient, derivatives } = layer;
    const sums = b.reduceSum(activations, layer.axes);
    const isSoftmax = form === 'softmax' && derivatives !== undefined;
    const slope = isSoftmax ? derivatives.first : gradient;
    const [numerator, denominator] = isSoftmax
      ? [derivatives.second, b.add(b.scale(derivatives.second, 2), b.mul(sums, derivatives.third))]
      : [b.scalar(1), b.add(b.mul(gradient, sums), b.scalar(2))];
    const alpha = ratioNodes(b, numerator, denominator);
    const weight = sumNodes(b, b.mul(alpha, gradientRelu ? b.op('Relu', [slope]) : slope), layer);
    if (!alphaNormalization) return weight;
    const positive = b.asFloat(b.op('Greater', [slope, b.zero()]));
    return ratioNodes(b, weight, sumNodes(b, b.mul(alpha, positive), layer));
  },
  whyEmpty: ({ probability }, { form }) =>
    form === 'softmax'
      ? `The second and third derivatives of softmax change sign with the probability, here ${probability?.toPrecision(4)}; where theirs differ, α is negative and the softmax form leaves nothing. With form exp α is positive.`
      : undefined,
  logScale: ({ score, probability }, { form }) => (form === 'exp' ? score : Math.log(probability ?? 1)),
});

/** ∂Y/∂A at a position, and α there, without the factors that cancel or scale the map. */
interface Derivative {
  readonly slope: (p: number) => number;
  readonly alpha: (p: number) => number;
}

function exponential({ gradients, gradientAt, gradientStep }: Plane, sum: number): Derivative {
  const slope = (p: number) => gradients[gradientAt + p * gradientStep];
  return { slope, alpha: (p) => ratio(1, 2 + slope(p) * sum) };
}

function softmax({ gradients, gradientAt, gradientStep, moments }: Plane, sum: number): Derivative {
  const { mean, variance, third } = moments!;
  const at = (p: number) => gradientAt + p * gradientStep;
  const slope = (p: number) => gradients[at(p)] - mean[at(p)];
  return {
    slope,
    alpha: (p) => {
      const d = slope(p);
      const V = variance[at(p)];
      const second = d * d - V;
      return ratio(second, 2 * second + sum * (d * d * d - 3 * d * V - third[at(p)]));
    },
  };
}
