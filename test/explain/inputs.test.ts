import { afterAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { ExplainerOptions } from '../../src/explain/explain-options.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import type { Tensor } from '../../src/tensor.js';
import { bytesFrom, classifier, type ShortGraph, values, weights } from '../support/network.js';

const opened: Explainer[] = [];
afterAll(() => Promise.all(opened.map((explainer) => explainer.close())));

async function open(graph: ShortGraph, options: ExplainerOptions = {}): Promise<Explainer> {
  const explainer = await Explainer.open(bytesFrom(graph), { backend: 'reference', ...options });
  opened.push(explainer);
  return explainer;
}

const picture: Tensor = { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) };
const pixels = Float32Array.from({ length: 3 * 8 * 8 }, (_, i) => (i * 37) % 256);
const whole: Tensor = { type: 'float32', dims: [3, 8, 8], data: pixels };
const plain = classifier({ batch: 1 });

/** The classifier behind other operators on its input. */
function behind(
  dims: (number | string)[],
  type: DataType,
  nodes: ShortGraph['nodes'],
  constants = {},
): ShortGraph {
  return {
    ...plain,
    inputs: { given: dims },
    types: { given: type },
    nodes: [...nodes, ...plain.nodes],
    constants: { ...plain.constants, ...constants },
  };
}

describe('inputs that are no float32 pictures with a batch axis', () => {
  test('whole numbers are cast: the map is that of the float network', async () => {
    const cast = behind([1, 3, 8, 8], DataType.UINT8, [
      ['Cast', ['given'], ['image'], { to: DataType.FLOAT }],
    ]);
    const options = { targets: 2, method: ['grad-cam++', 'guided-backprop'] } as const;
    const [expected] = await (await open(plain)).explain(whole, options);
    const [explanation] = await (await open(cast)).explain(whole, options);
    expect(explanation.scores).toEqual(expected.scores);
    explanation.targets.forEach(({ map }, i) => expect(map.data).toEqual(expected.targets[i].map.data));
    expect(explanation.targets[1].layers).toEqual(['given']);
  });

  test('pixels of pictures go in as they are', async () => {
    const cast = behind([1, 3, 8, 8], DataType.UINT8, [
      ['Cast', ['given'], ['image'], { to: DataType.FLOAT }],
    ]);
    const explainer = await open(cast);
    expect(explainer.notes[0]).toContain('RGB in 0…255, scaled and cropped to 8×8. A sidecar');
    expect(explainer.preprocessing).toMatchObject({ range: 255, mean: [0, 0, 0], std: [1, 1, 1] });
  });

  test('a picture without a batch axis is a batch of one', async () => {
    const single = behind([3, 8, 8], DataType.FLOAT, [['Reshape', ['given', 'batched'], ['image']]], {
      batched: int64Constant([1, 3, 8, 8]),
    });
    const [expected] = await (await open(plain)).explain(picture, { targets: 1 });
    const [explanation] = await (await open(single)).explain(picture, { targets: 1 });
    expect(explanation.scores).toEqual(expected.scores);
    expect(explanation.targets[0].map.data).toEqual(expected.targets[0].map.data);
  });

  test('scores without a batch axis are those of the only picture', async () => {
    const flat: ShortGraph = {
      ...plain,
      outputs: ['row'],
      nodes: [...plain.nodes, ['Reshape', ['logits', 'all'], ['row']]],
      constants: {
        ...plain.constants,
        all: int64Constant([-1]),
      },
    };
    const [expected] = await (await open(plain)).explain(picture, { targets: 3 });
    const [explanation] = await (await open(flat)).explain(picture, { targets: 3 });
    expect(explanation.scores).toEqual(expected.scores);
    expect(explanation.probabilities).toEqual(expected.probabilities);
    expect(explanation.targets[0].map.data).toEqual(expected.targets[0].map.data);
  });

  test('a signal [N, C, L] and a vector [N, F]: the first has layers, the second none', async () => {
    const signal: ShortGraph = {
      inputs: { wave: ['N', 2, 16] },
      outputs: ['logits'],
      nodes: [
        ['Conv', ['wave', 'w'], ['conv'], { pads: [1, 1] }],
        ['Relu', ['conv'], ['relu']],
        ['GlobalAveragePool', ['relu'], ['mean']],
        ['Flatten', ['mean'], ['pooled']],
        ['MatMul', ['pooled', 'm'], ['logits']],
      ],
      constants: { w: weights(7, [4, 2, 3]), m: weights(8, [4, 5]) },
    };
    const [{ targets }] = await (await open(signal)).explain({
      type: 'float32',
      dims: [2, 16],
      data: values(3, [2, 16]),
    });
    expect(targets[0].map.dims).toEqual([16]);
    const vector: ShortGraph = {
      inputs: { features: ['N', 12] },
      outputs: ['logits'],
      nodes: [
        ['MatMul', ['features', 'w'], ['hidden']],
        ['Relu', ['hidden'], ['relu']],
        ['MatMul', ['relu', 'm'], ['logits']],
      ],
      constants: { w: weights(9, [12, 4]), m: weights(8, [4, 5]) },
    };
    const explainer = await open(vector);
    const input: Tensor = { type: 'float32', dims: [12], data: values(4, [12]) };
    const [explanation] = await explainer.explain(input, { method: 'guided-backprop' });
    expect(explanation.targets[0].map.dims).toEqual([12]);
    await expect(explainer.explain(input)).rejects.toThrow('No layer between the input and the scores');
  });

  test('of a signal and states the signal is the picture: it alone has a batch axis, or it alone is not fed', async () => {
    const recurrent = (states: number): ShortGraph => ({
      inputs: { rate: [], wave: ['N', 12], state: [states, 'N', 4] },
      outputs: ['logits'],
      nodes: [
        ['MatMul', ['wave', 'w'], ['hidden']],
        ['Mul', ['hidden', 'rate'], ['scaled']],
        ['ReduceSum', ['state', 'axis'], ['sum'], { keepdims: 0 }],
        ['Add', ['scaled', 'sum'], ['both']],
        ['MatMul', ['both', 'm'], ['logits']],
      ],
      constants: { w: weights(9, [12, 4]), m: weights(8, [4, 5]), axis: int64Constant([0]) },
    });
    await expect(open(recurrent(2))).rejects.toThrow(
      'more than the picture "wave": the inputs "rate" [], "state"',
    );
    await expect(open(recurrent(1))).rejects.toThrow(
      'which one takes the picture is not plain: "rate" [], "wave" [N, 12], "state" [1, N, 4]. Name it as "input.name" in the JSON sidecar, or feed the others (--feed NAME=VALUE).',
    );
    const inputs = { rate: 2, state: [0, 0, 0, 0] };
    expect((await open(recurrent(1), { inputs })).network.image.name).toBe('wave');

    const wave = (seed: number): Tensor => ({ type: 'float32', dims: [12], data: values(seed, [12]) });
    const state = (count: number): Tensor => ({
      type: 'float32',
      dims: [2, count, 4],
      data: values(5, [2, count, 4]),
    });
    const scoresWith = async (given: Tensor, ...waves: Tensor[]) =>
      (await (await open(recurrent(2), { inputs: { rate: 2, state: given } })).predict(waves)).map(
        ({ scores }) => scores,
      );
    const two = state(2);
    const both = await scoresWith(two, wave(1), wave(2));
    for (const n of [0, 1]) {
      const data = Float32Array.from(
        [0, 1]
          .flatMap((layer) => [...two.data].slice((layer * 2 + n) * 4, (layer * 2 + n + 1) * 4))
          .map(Number),
      );
      const own: Tensor = { type: 'float32', dims: [2, 1, 4], data };
      expect(await scoresWith(own, wave(n + 1))).toEqual([both[n]]);
    }
    await expect(scoresWith(state(3), wave(1))).rejects.toThrow(
      '"inputs.state" must have one row, or one a picture, 1; received 3.',
    );
  });
});
