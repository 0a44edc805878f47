import type { Builder, Name } from '../graph/builder.js';
import type { LayerNodes } from '../methods/common/method.js';

type SoftmaxDerivatives = NonNullable<LayerNodes['derivatives']>;

/**
 * Derivatives of softmax(S)_c from the per-class gradients g^m, in differences D_m = g^m − g^c, which do not cancel
 * when one class has almost all the probability: with m_i = Σ_m p_m D_m^i,
 * Y′/p = −m₁, Y″/p = 2m₁² − m₂, Y‴/p = 6m₁m₂ − 6m₁³ − m₃.
 *
 * These are method.md's d, d² − V and d³ − 3dV − κ, expanded.
 */
export function softmaxDerivatives(b: Builder, m1: Name, m2: Name, m3: Name): SoftmaxDerivatives {
  const square = b.square(m1);
  const third = b.sub(b.sub(b.scale(b.mul(m1, m2), 6), b.scale(b.mul(square, m1), 6)), m3);
  return { first: b.neg(m1), second: b.sub(b.scale(square, 2), m2), third };
}

/**
 * For a head of global average pooling and a linear layer: g^m is the constant J[m, k], so the moments are matrix
 * products. `jacobian` is [M, K], `p` [N, M], `index` the explained class [N].
 */
export function constantMoments(
  b: Builder,
  { jacobian, p, index, ones }: { jacobian: Name; p: Name; index: Name; ones: readonly number[] },
): SoftmaxDerivatives {
  const own = b.op('Unsqueeze', [b.op('Gather', [jacobian, index], { axis: 0 }), b.ints([1])]);
  const difference = b.sub(b.op('Unsqueeze', [jacobian, b.ints([0])]), own);
  const row = b.op('Unsqueeze', [p, b.ints([1])]);
  const moment = (value: Name) => b.op('Reshape', [b.op('MatMul', [row, value]), b.ints([0, -1, ...ones])]);
  const square = b.square(difference);
  return softmaxDerivatives(b, moment(difference), moment(square), moment(b.mul(square, difference)));
}

/** The same for any head, from the gradient of every class: `probability(m)` is [N, 1, ...]. */
export function unrolledMoments(
  b: Builder,
  gradients: readonly Name[],
  own: Name,
  probability: (index: number) => Name,
): SoftmaxDerivatives {
  const sums: Name[][] = [[], [], []];
  gradients.forEach((gradient, m) => {
    const difference = b.sub(gradient, own);
    const first = b.mul(probability(m), difference);
    const second = b.mul(first, difference);
    sums[0].push(first);
    sums[1].push(second);
    sums[2].push(b.mul(second, difference));
  });
  const [m1, m2, m3] = sums.map((parts) => b.op('Sum', parts));
  return softmaxDerivatives(b, m1, m2, m3);
}
