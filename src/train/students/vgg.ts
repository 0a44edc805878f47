import { Layers, type Student } from './layers.js';

/** Convolutions of each stage, by depth. */
const stages: Readonly<Record<string, readonly number[]>> = {
  6: [1, 1, 1, 1, 1],
  9: [1, 1, 2, 2, 2],
};

/**
 * VGG for small pictures, Simonyan and Zisserman, arXiv 1409.1556, with batch normalisation and 16 … 128 channels: 3 × 3
 * convolutions, the largest of 2 × 2 between stages. Where we differ: global average pooling and one linear layer at the end.
 */
export const vgg: Student = {
  name: 'vgg-6 | vgg-9',
  source: 'arXiv 1409.1556, narrowed to 16 … 128 channels; batch normalisation, one linear layer',
  build: (typed, options) => {
    const counts = stages[/^vgg-(\d+)$/.exec(typed)?.[1] ?? ''];
    if (!counts) return undefined;
    const net = new Layers(options);
    let x: string = net.input;
    for (const [stage, count] of counts.entries()) {
      if (stage > 0 && Math.min(...options.size) / 2 ** stage >= 4) x = net.maxPool(`pool${stage}`, x);
      for (let i = 0; i < count; i++) {
        const at = `stage${stage + 1}.${i}`;
        const outputs = net.scaled(Math.min(16 * 2 ** stage, 128));
        const conv = net.conv(`${at}/conv`, x, { outputs, kernel: 3 });
        x = net.relu(`${at}/relu`, net.batchNorm(`${at}/norm`, conv));
      }
    }
    return net.classifier(typed, x);
  },
};
