import type { Graph } from '../../graph/graph.js';
import { Layers, type Student, type StudentOptions } from './layers.js';

/**
 * ResNet for small pictures, He et al., arXiv 1512.03385, section 4.2: 6n + 2 layers, three stages of n blocks with 16, 32 and 64
 * channels. Where we differ: shortcuts that change dims are 1 × 1 convolutions (the paper's option B), not padding.
 */
export const resnet: Student = {
  name: 'resnet-DEPTH',
  source: 'arXiv 1512.03385, section 4.2; DEPTH = 6n + 2, as 8, 14, 20; shortcuts by 1 × 1 convolutions',
  build: (typed, options) => {
    const depth = Number(/^resnet-(\d+)$/.exec(typed)?.[1]);
    return depth >= 8 && depth % 6 === 2 ? build(typed, (depth - 2) / 6, options) : undefined;
  },
};

function build(name: string, blocks: number, options: StudentOptions): Graph {
  const net = new Layers(options);
  const unit = (at: string, x: string, outputs: number, stride: number) =>
    net.batchNorm(`${at}/norm`, net.conv(`${at}/conv`, x, { outputs, kernel: 3, stride }));
  let x = net.relu('stem/relu', unit('stem', net.input, net.scaled(16), 1));
  for (const [stage, channels] of [16, 32, 64].entries()) {
    for (let block = 0; block < blocks; block++) {
      const at = `stage${stage + 1}.${block}`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const outputs = net.scaled(channels);
      const inner = net.relu(`${at}/1/relu`, unit(`${at}/1`, x, outputs, stride));
      const residual = unit(`${at}/2`, inner, outputs, 1);
      const isSame = stride === 1 && net.channelsOf(x) === outputs;
      const shortcut = isSame ? x : project(net, `${at}/shortcut`, x, outputs, stride);
      x = net.relu(`${at}/relu`, net.add(`${at}/add`, residual, shortcut));
    }
  }
  return net.classifier(name, x);
}

function project(net: Layers, at: string, x: string, outputs: number, stride: number): string {
  return net.batchNorm(`${at}/norm`, net.conv(`${at}/conv`, x, { outputs, kernel: 1, stride }));
}
