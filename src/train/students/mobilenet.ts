import { Layers, type Student } from './layers.js';

/** Outputs and stride of each pair of convolutions. */
const pairs = [
  [32, 1],
  [64, 2],
  [64, 1],
  [128, 2],
  [128, 1],
] as const;

/**
 * Depthwise separable convolutions, Howard et al., arXiv 1704.04861, of which there are five pairs here: 3 × 3 of each channel
 * alone, then 1 × 1.
 */
export const mobilenet: Student = {
  name: 'mobilenet',
  source: 'arXiv 1704.04861, table 1, the first rows, narrowed for small pictures',
  build: (typed, options) => {
    if (typed !== 'mobilenet') return undefined;
    const net = new Layers(options);
    const unit = (at: string, x: string, conv: Parameters<Layers['conv']>[2]) =>
      net.relu(`${at}/relu`, net.batchNorm(`${at}/norm`, net.conv(`${at}/conv`, x, conv)));
    let x = unit('stem', net.input, { outputs: net.scaled(16), kernel: 3 });
    for (const [i, [outputs, stride]] of pairs.entries()) {
      const own = net.channelsOf(x);
      x = unit(`pair${i + 1}/depthwise`, x, { outputs: own, kernel: 3, stride, group: own });
      x = unit(`pair${i + 1}/pointwise`, x, { outputs: net.scaled(outputs), kernel: 1 });
    }
    return net.classifier(typed, x);
  },
};
