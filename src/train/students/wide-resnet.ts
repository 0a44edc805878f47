import type { Graph } from '../../graph/graph.js';
import { Layers, type Student, type StudentOptions } from './layers.js';

/**
 * Wide residual networks, Zagoruyko and Komodakis, arXiv 1605.07146: pre-activation blocks, 6n + 4 layers, three stages of n
 * blocks with 16k, 32k and 64k channels; the paper distils WRN-40-2 into WRN-16-2. Without dropout.
 */
export const wideResnet: Student = {
  name: 'wrn-DEPTH-K',
  source: 'arXiv 1605.07146, table 1; DEPTH = 6n + 4, as 10, 16, 40; without dropout',
  build: (typed, options) => {
    const [, depth, k] = (/^wrn-(\d+)-(\d+)$/.exec(typed) ?? []).map(Number);
    return depth >= 10 && depth % 6 === 4 && k > 0 ? build(typed, (depth - 4) / 6, k, options) : undefined;
  },
};

function build(name: string, blocks: number, k: number, options: StudentOptions): Graph {
  const net = new Layers(options);
  const active = (at: string, x: string) => net.relu(`${at}/relu`, net.batchNorm(`${at}/norm`, x));
  let x = net.conv('stem/conv', net.input, { outputs: net.scaled(16), kernel: 3 });
  for (const [stage, channels] of [16 * k, 32 * k, 64 * k].entries()) {
    for (let block = 0; block < blocks; block++) {
      const at = `stage${stage + 1}.${block}`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const outputs = net.scaled(channels);
      const before = active(`${at}/1`, x);
      const first = net.conv(`${at}/1/conv`, before, { outputs, kernel: 3, stride });
      const residual = net.conv(`${at}/2/conv`, active(`${at}/2`, first), { outputs, kernel: 3 });
      const isSame = stride === 1 && net.channelsOf(x) === outputs;
      const shortcut = isSame ? x : net.conv(`${at}/shortcut/conv`, before, { outputs, kernel: 1, stride });
      x = net.add(`${at}/add`, residual, shortcut);
    }
  }
  return net.classifier(name, active('last', x));
}
