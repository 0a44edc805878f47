import { expect, test } from 'vitest';
import { modelFile } from '../../src/graph/model-file.js';
import { floatsOf } from '../../src/onnx/constant.js';
import { openSession } from '../../src/runtime/session.js';
import { sizeOf } from '../../src/tensor.js';
import { buildStudent } from '../../src/train/students/index.js';
import { forUse, weightsOf } from '../../src/train/training-form.js';
import { Explainer } from '../../src/batch/explainer.js';
import { values } from '../support/network.js';

const options = { classes: 10, size: [32, 32] as const };
const count = (name: string, own: object = {}) => {
  const graph = buildStudent(name, { ...options, ...own });
  return weightsOf(graph).reduce((sum, weight) => sum + sizeOf(graph.constants.get(weight)?.dims ?? []), 0);
};

// ResNet-8 and WRN-16-2 by the papers' own arithmetic: 3·3·in·out a convolution, two numbers a channel a normalisation.
test.each([
  ['resnet-8', {}, 78_042],
  ['resnet-20', {}, 272_474],
  ['wrn-16-2', {}, 691_674],
  ['vgg-6', {}, 246_682],
  ['mobilenet', {}, 37_162],
])('%s has its weights', (name, own, expected) => expect(count(name, own)).toBe(expected));

test('the width is a factor of every number of channels', () => {
  const dims = (width: number) =>
    buildStudent('resnet-8', { ...options, width }).constants.get('stage3.0/2/conv.weight')?.dims;
  expect(dims(0.5)).toEqual([32, 32, 3, 3]);
  expect(dims(2)).toEqual([128, 128, 3, 3]);
});

test('weights are He’s: normal of variance 2 / fan-in, and those of a seed are the same again', () => {
  const weight = (seed: number) => {
    const graph = buildStudent('resnet-8', { ...options, seed });
    return floatsOf(graph.constants.get('stage3.0/2/conv.weight') as never);
  };
  const own = weight(3);
  const variance = own.reduce((sum, value) => sum + value * value, 0) / own.length;
  expect(variance).toBeCloseTo(2 / (64 * 9), 4); // 36,864 numbers: ± 0.7 %
  expect(weight(3)).toEqual(own);
  expect(weight(4)).not.toEqual(own);
});

test('there is no such network', () => {
  for (const name of ['resnet-9', 'wrn-16', 'vgg-7', 'mobilenet2'])
    expect(() => buildStudent(name, options)).toThrow(/"student" must be one of resnet-DEPTH/);
});

test('a network that is too large is refused before it takes memory', () => {
  const limits = '"student" must be a network of at most 100 million weights in 2000 layers; received ';
  expect(() => buildStudent('wrn-16-900', options)).toThrow(
    `${limits}"wrn-16-900". Name a shallower or narrower one.`,
  );
  expect(() => buildStudent('resnet-99999998', { ...options, width: 0.01 })).toThrow(
    `${limits}"resnet-99999998 of width 0.01".`,
  );
});

test.each(['resnet-8', 'wrn-10-1', 'vgg-6', 'mobilenet'])(
  '%s is a classifier whose last activation is explained',
  async (name) => {
    const graph = forUse(buildStudent(name, { classes: 3, size: [16, 16], width: 0.25 }));
    const session = await openSession(graph, { threads: 1 });
    const image = { type: 'float32', dims: [2, 3, 16, 16], data: values(1, [2, 3, 16, 16]) } as const;
    const { scores } = await session.run({ image });
    expect(scores.dims).toEqual([2, 3]);
    await session.close();
    const explainer = await Explainer.open(modelFile(graph).toBytes(), {
      preprocess: { input: { size: [16, 16] } },
      backend: 'reference',
    });
    expect(explainer.layers).toEqual([graph.nodes.findLast(({ opType }) => opType === 'Relu')?.outputs[0]]);
    await explainer.close();
  },
);
