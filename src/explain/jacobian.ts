import type { Differentiator } from './passes.js';

/** Classes in one backward pass. */
const step = 8;

const known = new WeakMap<Differentiator, Promise<(Float32Array | undefined)[]>>();

/**
 * ∂S_m/∂A of all classes where it is the same for every picture and every position, [M, K] for each layer: behind
 * global average pooling and a linear layer, the classifier's weights over the number of positions. undefined for
 * other layers. Computed once.
 */
export function constantJacobian(differentiator: Differentiator): Promise<(Float32Array | undefined)[]> {
  let jacobian = known.get(differentiator);
  if (!jacobian) {
    jacobian = computeJacobian(differentiator);
    known.set(differentiator, jacobian);
  }
  return jacobian;
}

async function computeJacobian(differentiator: Differentiator): Promise<(Float32Array | undefined)[]> {
  const { count, channels, batch = step } = differentiator;
  const jacobians: (Float32Array | undefined)[] = channels.map((K, i) =>
    differentiator.isConstant && differentiator.isPooled[i] ? new Float32Array(count * K) : undefined,
  );
  for (let first = 0; first < count && jacobians.some(Boolean); first += batch) {
    const seed = new Float32Array(batch * count);
    for (let i = 0; i < batch; i++) seed[i * count + Math.min(first + i, count - 1)] = 1;
    const dims = [batch, ...((differentiator.scores.info.dims ?? []).slice(1) as number[])];
    const scores = { type: 'float32', dims, data: seed } as const;
    const gradients = await differentiator.backward({ saved: {}, scores, images: batch }, seed);
    gradients.forEach((gradient, layer) => {
      const rows = Math.min(batch, count - first) * channels[layer];
      jacobians[layer]?.set(gradient.subarray(0, rows), first * channels[layer]);
    });
  }
  return jacobians;
}
