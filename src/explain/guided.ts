import type { Scores } from '../graph/scores.js';
import type { Tensor } from '../tensor.js';
import type { Network } from './network.js';

/** One guided backward pass with respect to the input, for any seed. */
export async function guidedPass(network: Network, scores: Scores, images: Tensor<'float32'>) {
  const { guidedRelu } = await import('../autodiff/rules/activation.js'); // with ONNX's types: not loaded by `import`
  const differentiator = await network.differentiator([network.image.name], scores, { Relu: guidedRelu });
  const forward = await differentiator.forward(images);
  return async (seed: Float32Array) => (await differentiator.backward(forward, seed))[0];
}

/** Guided backpropagation, times the map where there is one, and its magnitude summed over channels as a map. */
export function guidedResult(
  gradient: Float32Array,
  map: Float32Array | undefined,
  dims: readonly number[],
  lastIsChannel: boolean,
) {
  const channels = lastIsChannel ? dims[dims.length - 1] : dims[0];
  const positions = gradient.length / channels;
  const attribution = new Float32Array(gradient.length);
  const magnitude = new Float32Array(positions);
  for (let i = 0; i < gradient.length; i++) {
    const position = lastIsChannel ? Math.floor(i / channels) : i % positions;
    attribution[i] = gradient[i] * (map ? map[position] : 1);
    magnitude[position] += Math.abs(attribution[i]);
  }
  const maximum = magnitude.reduce((a, b) => Math.max(a, b), 0);
  return {
    attribution: { data: attribution, dims },
    map: maximum > 0 ? magnitude.map((value) => value / maximum) : magnitude,
  };
}
