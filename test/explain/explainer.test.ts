import { int64Constant } from '../../src/onnx/constant.js';
import { afterAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { ExplainerOptions } from '../../src/explain/explain-options.js';
import { probabilitiesOf } from '../../src/targets/common/probabilities.js';
import type { Tensor } from '../../src/tensor.js';
import { bytesFrom, type ClassifierOptions, classifier, values } from '../support/network.js';

const opened: Explainer[] = [];
afterAll(() => Promise.all(opened.map((explainer) => explainer.close())));

async function open(options: ClassifierOptions = {}, more: ExplainerOptions = {}): Promise<Explainer> {
  const explainer = await Explainer.open(bytesFrom(classifier(options)), { backend: 'reference', ...more });
  opened.push(explainer);
  return explainer;
}

const image = (seed: number): Tensor<'float32'> => ({
  type: 'float32',
  dims: [3, 8, 8],
  data: values(seed, [3, 8, 8]),
});

/** ∂S_c/∂A by running the head on changed activations. */
async function scoreFrom(
  explainer: Explainer,
  layer: string,
  activations: Float32Array,
  dims: readonly number[],
) {
  const { openSession } = await import('../../src/runtime/session.js');
  const { subgraph, valueInfo } = await import('../../src/graph/graph.js');
  const { graph } = explainer.network;
  const head = subgraph(graph, [valueInfo(graph, layer)], [valueInfo(graph, 'logits')]);
  const session = await openSession(head);
  const results = await session.run({ [layer]: { type: 'float32', dims, data: activations } });
  await session.close();
  return results.logits.data as Float32Array;
}

describe('targets', () => {
  test('the top classes, a class and a combination of scores', async () => {
    const explainer = await open();
    const contrast = new Float32Array(5);
    contrast[1] = 1;
    contrast[3] = -1;
    const [explanation] = await explainer.explain([image(1)], {
      targets: [{ top: 2 }, 4, { scores: contrast, name: '1 against 3' }],
    });
    const { scores, targets } = explanation;
    const order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
    const expected = [...new Set([order[0], order[1], 4])];
    expect(targets.map(({ target }) => target.class)).toEqual([...expected, undefined]);
    expect(targets.at(-1)?.target).toEqual({
      class: undefined,
      name: '1 against 3',
      kind: 'combination',
      score: scores[1] - scores[3],
      probability: undefined,
    });
    expect(targets[0].map.dims).toEqual([8, 8]);
    expect(targets[0].raw?.dims).toEqual([4, 4]);
  });

  test('every image can have targets of its own, and a wrong number is refused', async () => {
    const explainer = await open();
    const explanations = await explainer.explain([image(1), image(2)], { targetsPerImage: [3, [0, 1]] });
    expect(explanations.map(({ targets }) => targets.map(({ target }) => target.class))).toEqual([
      [3],
      [0, 1],
    ]);
    await expect(explainer.explain([image(1), image(2)], { targetsPerImage: [3] })).rejects.toThrow(
      '"targetsPerImage" must have one entry an image, 2; received 1.',
    );
  });

  test('class 5 of 5 is refused', async () => {
    await expect((await open()).explain([image(1)], { targets: 5 })).rejects.toThrow(
      '"class" must be a whole number from 0 to 4, since the model has 5 classes; received 5.',
    );
  });

  test('classes by name, with the closest names for a wrong one', async () => {
    const preprocess = { input: { size: [8, 8] }, classes: ['ant', 'bee', 'cat', 'dog', 'eel'] };
    const explainer = await open({}, { preprocess });
    const [{ targets }] = await explainer.explain([image(1)], { targets: 'Dog' });
    expect(targets[0].target).toMatchObject({ class: 3, name: 'dog' });
    await expect(explainer.explain([image(1)], { targets: 'dgo' })).rejects.toThrow('Closest: "dog"');
  });

  test('a position of another output', async () => {
    const explainer = await open({ tail: 'softmax' });
    const [{ targets }] = await explainer.explain([image(1)], { targets: { output: 'hidden', select: 2 } });
    expect(targets[0].target.class).toBe(2);
  });
});

describe('gradients and maps', () => {
  test('the gradient equals differences of the score at every activation', async () => {
    const explainer = await open();
    const { network, scores } = explainer;
    const differentiator = await network.differentiator([{ name: 'relu2' }], scores);
    const forward = await differentiator.forward({ image: { ...image(3), dims: [1, 3, 8, 8] } });
    const seed = Float32Array.of(0, 0, 1, 0, 0);
    const [gradient] = await differentiator.backward(forward, seed);
    const [A] = forward.activations;
    const h = 2 ** -10;
    let seen = 0;
    for (let i = 0; i < A.length; i++) {
      if (A[i] < 2 * h) continue; // zeros tie in the pooling behind: a kink
      seen++;
      const moved = [h, -h].map((step) => A.with(i, A[i] + step));
      const [up, down] = await Promise.all(
        moved.map((data) => scoreFrom(explainer, 'relu2', data, forward.dims[0])),
      );
      expect(Math.abs((up[2] - down[2]) / (2 * h) - gradient[i])).toBeLessThan(2e-3);
    }
    expect(seen).toBeGreaterThan(20);
  });

  test('batches, single pictures and a fixed batch give the same maps', async () => {
    const images = [image(1), image(2), image(3)];
    const options = { targets: 2, method: ['grad-cam++', 'layer-cam'] } as const;
    const alone = await (await open()).explain(images, options);
    const together = await (await open()).explain(images, { ...options, batchSize: 3 });
    const fixed = await (await open({ batch: 2 })).explain(images, options);
    for (const other of [together, fixed])
      alone.forEach((explanation, n) =>
        explanation.targets.forEach(({ map }, t) => {
          const difference = map.data.map((value, i) => Math.abs(value - other[n].targets[t].map.data[i]));
          expect(Math.max(...difference)).toBeLessThan(1e-5);
        }),
      );
  });

  test('a final softmax or sigmoid is stepped over and still reported', async () => {
    const plain = (await (await open()).explain([image(1)], { targets: 1 }))[0];
    for (const tail of ['softmax', 'sigmoid'] as const) {
      const [explanation] = await (await open({ tail })).explain([image(1)], { targets: 1 });
      expect(explanation.scores).toEqual(plain.scores);
      expect(explanation.targets[0].map.data).toEqual(plain.targets[0].map.data);
      expect(explanation.probabilities).toEqual(probabilitiesOf(plain.scores, tail));
    }
  });

  test('several methods in one call equal single calls', async () => {
    const explainer = await open();
    const methods = [
      'grad-cam++',
      'grad-cam',
      'xgrad-cam',
      'hires-cam',
      'layer-cam',
      'guided-grad-cam++',
      'guided-backprop',
    ] as const;
    const [together] = await explainer.explain([image(4)], { targets: 0, method: methods });
    expect(together.targets.map(({ method }) => method)).toEqual(methods);
    for (const [i, method] of methods.entries()) {
      const [single] = await explainer.explain([image(4)], { targets: 0, method });
      expect(single.targets[0].map.data).toEqual(together.targets[i].map.data);
    }
  });

  test('maps of several layers are averaged', async () => {
    const options = { targets: 1 } as const;
    const maps = await Promise.all(
      [['relu1'], ['relu2'], ['relu1', 'relu2']].map(async (layer) => {
        const [{ targets }] = await (await open({}, { layer })).explain([image(5)], options);
        return targets[0].map.data;
      }),
    );
    maps[2].forEach((value, i) => expect(value).toBeCloseTo((maps[0][i] + maps[1][i]) / 2, 6));
  });

  test('cam equals the classifier row on a pooled linear head, and is refused elsewhere', async () => {
    const explainer = await open({ head: 'pool' });
    const [{ targets }] = await explainer.explain([image(6)], { targets: 2, method: 'cam' });
    const { network, scores } = explainer;
    const forward = await (await network.differentiator([{ name: 'relu2' }], scores)).forward({
      image: { ...image(6), dims: [1, 3, 8, 8] },
    });
    const row = weightRow(2);
    const expected = Float32Array.from({ length: 16 }, (_, p) =>
      Math.max(
        0,
        row.reduce((sum, w, k) => sum + w * forward.activations[0][k * 16 + p], 0),
      ),
    );
    targets[0].raw?.data.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 5));
    await expect((await open()).explain([image(6)], { targets: 2, method: 'cam' })).rejects.toThrow(
      'global average pooling and one linear layer',
    );
  });
});

/** Row of the pooled classifier's weights. */
function weightRow(index: number): number[] {
  const constant = classifier({ head: 'pool' }).constants?.w3;
  return Array.from(
    new Float32Array((constant as { bytes: Uint8Array }).bytes.slice().buffer).slice(
      index * 6,
      index * 6 + 6,
    ),
  );
}

describe('softmax form', () => {
  test.each(['pool', 'dense'] as const)(
    'its derivatives equal differences of softmax along the gradient (%s)',
    async (head) => {
      const explainer = await open({ head });
      const { network, scores } = explainer;
      const { centredSeed, classMoments } = await import('../../src/explain/moments.js');
      const differentiator = await network.differentiator([{ name: 'relu2' }], scores);
      const forward = await differentiator.forward({ image: { ...image(7), dims: [1, 3, 8, 8] } });
      const { moments, epsilon } = await classMoments(differentiator, forward);
      const [own] = await differentiator.backward(forward, centredSeed(forward.scores.data, 1));
      const jacobian = await Promise.all(
        Array.from({ length: 5 }, (_, m) =>
          differentiator.backward(forward, new Float32Array(5).fill(0).with(m, 1)),
        ),
      );
      expect(epsilon).toBeLessThan(1e-6);
      const positions = moments[0].variance.length / own.length; // 1, or all of a channel's where the head pools
      for (let i = 0; i < own.length; i++) {
        const slopes = jacobian.map(([gradient]) => gradient[i]);
        const [first, second, third] = derivativesOf(Array.from(forward.scores.data), slopes, 1);
        const p = probabilitiesOf(forward.scores.data, 'softmax')?.[1] as number;
        const d = own[i];
        const [V, kappa] = [moments[0].variance[i * positions], moments[0].third[i * positions]];
        const scale = Math.max(...slopes.map(Math.abs), 1e-3);
        expect(Math.abs(p * d - first) / scale).toBeLessThan(1e-5);
        expect(Math.abs(p * (d * d - V) - second) / scale ** 2).toBeLessThan(1e-4);
        expect(Math.abs(p * (d ** 3 - 3 * d * V - kappa) - third) / scale ** 3).toBeLessThan(1e-3);
      }
    },
  );
});

/** First three derivatives at t = 0 of softmax(S + t·slopes)_c, by central differences in float64. */
function derivativesOf(scores: number[], slopes: number[], c: number): [number, number, number] {
  const scale = Math.max(...slopes.map(Math.abs), 1e-3);
  const h = 0.01 / scale;
  const f = (t: number) => {
    const powers = scores.map((score, m) => Math.exp(score + t * slopes[m]));
    return powers[c] / powers.reduce((a, b) => a + b);
  };
  const [a, b, e, g, i] = [-2, -1, 0, 1, 2].map((step) => f(step * h));
  return [
    (a - 8 * b + 8 * g - i) / (12 * h),
    (-a + 16 * b - 30 * e + 16 * g - i) / (12 * h * h),
    (-a + 2 * b - 2 * g + i) / (2 * h ** 3),
  ];
}

test('the softmax form keeps its digits when the class is certain', async () => {
  const { centredSeed } = await import('../../src/explain/moments.js');
  const seed = centredSeed(Float32Array.of(0, 30, 1), 1);
  const left = Math.exp(-30) + Math.exp(-29); // 1 − p, to first order
  expect(Math.abs(seed[1] / left - 1)).toBeLessThan(1e-6);
});

test('an empty map of the softmax form says why, and no other', async () => {
  const explainer = await open({ head: 'pool' });
  const { data, ...rest } = image(1);
  const certain = { ...rest, data: data.map((value) => 100 * value) };
  const mapsOf = async (form: 'softmax' | 'exp') => {
    const [{ targets }] = await explainer.explain([certain], { form });
    return targets[0].map;
  };
  const softmax = await mapsOf('softmax');
  expect(softmax.empty).toBe(true);
  expect(softmax.emptyBecause).toMatch(/here 1\.000; .* the softmax form leaves nothing\. With form exp/);
  const exp = await mapsOf('exp');
  expect([exp.empty, exp.emptyBecause]).toEqual([false, undefined]);
});

describe('options', () => {
  test('unknown and useless ones are refused', async () => {
    const explainer = await open();
    await expect(explainer.explain([image(1)], { method: 'gradcam' as never })).rejects.toThrow(
      'Closest: "grad-cam"',
    );
    await expect(explainer.explain([image(1)], { metod: 'grad-cam' } as never)).rejects.toThrow(
      'Closest: "method"',
    );
    await expect(explainer.explain([image(1)], { method: 'grad-cam', form: 'softmax' })).rejects.toThrow(
      '"form" changes grad-cam++ and guided-grad-cam++ alone',
    );
  });

  test('a layer that is not there, after the scores, or not spatial', async () => {
    await expect(open({}, { layer: 'relu9' })).rejects.toThrow(/received "relu9"\. Closest: "relu\d"/);
    await expect(open({ tail: 'softmax' }, { layer: 'probabilities' })).rejects.toThrow(
      'comes after the scores',
    );
    await expect(open({}, { layer: 'relu3' })).rejects.toThrow('not spatial');
    expect((await open({}, { layer: 'node_relu1' })).layers).toEqual(['relu1']);
    expect((await open()).layers).toEqual(['relu2']);
  });
});

test.each(['logits', 'softmax'] as const)(
  'scores without a batch axis (%s) are class scores',
  async (tail) => {
    const { nodes, constants, ...rest } = classifier({ batch: 1 });
    const squeezed = [...nodes, ['Squeeze', ['logits', 'first'], ['row']] as const];
    const ends =
      tail === 'softmax' ? [...squeezed, ['Softmax', ['row'], ['y'], { axis: 0 }] as const] : squeezed;
    const outputs = [tail === 'softmax' ? 'y' : 'row'];
    const bytes = bytesFrom({
      ...rest,
      outputs,
      nodes: ends,
      constants: { ...constants, first: int64Constant([0]) },
    });
    await using one = await Explainer.open(bytes, { backend: 'reference' });
    await using other = await Explainer.open(bytesFrom(classifier()), { backend: 'reference' });
    const image = { type: 'float32' as const, dims: [1, 3, 8, 8], data: values(3, [1, 3, 8, 8]) };
    const [[actual], [expected]] = [await one.explain(image), await other.explain(image)];
    expect(actual.targets[0].target).toEqual(expected.targets[0].target);
    expect(actual.targets[0].map.data).toEqual(expected.targets[0].map.data);
  },
);
