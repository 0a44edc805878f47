import { afterEach, describe, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { Explainer } from '../../src/batch/explainer.js';
import { bytesFrom, classifier, values } from '../support/network.js';

/** What a JavaScript caller may pass where it should not. */
const wrong = [null, 5, '', true, {}, [], Number.NaN, -1, [null], () => 1, Symbol('x'), 10n] as const;

const open: Explainer[] = [];
afterEach(async () => {
  for (const explainer of open.splice(0)) await explainer.close();
});
async function opened(options: object = {}): Promise<Explainer> {
  const explainer = await Explainer.open(bytesFrom(classifier({ tail: 'softmax' })), options);
  open.push(explainer);
  return explainer;
}
const tensor = (more: object = {}) => ({
  type: 'float32' as const,
  dims: [3, 8, 8],
  data: values(1, [3, 8, 8]),
  ...more,
});

/** Every call is done or refused by an error of this package, in one line. */
async function refusedOrDone(what: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    expect(error, `${what}: ${error}`).toBeInstanceOf(GradcamppError);
    expect((error as Error).message.split('\n'), what).toHaveLength(1);
  }
}

describe('wrong types from JavaScript callers', () => {
  test('the model', async () => {
    for (const value of [...wrong, undefined, new ArrayBuffer(4)])
      await expect(Explainer.open(value as never), String(value)).rejects.toMatchObject({
        code: 'INVALID_MODEL',
      });
  });

  test.each(['layer', 'preprocess', 'output', 'backend', 'executionProviders', 'threads'])(
    'Explainer.open: %s',
    async (key) => {
      const refused = wrong.filter((value) => key !== 'threads' || value !== 5);
      for (const value of refused)
        await expect(opened({ [key]: value }), String(value)).rejects.toBeInstanceOf(GradcamppError);
    },
  );

  test('options that are no object, pictures, tensors', async () => {
    const explainer = await opened();
    for (const value of wrong) {
      await refusedOrDone('options', () => explainer.explain(tensor(), value as never));
      await refusedOrDone('image', () => explainer.explain(value as never));
      for (const key of ['type', 'dims', 'data'])
        await refusedOrDone(key, () => explainer.explain(tensor({ [key]: value })));
    }
  });

  test.each([
    'targets',
    'targetsPerImage',
    'method',
    'form',
    'alphaNormalization',
    'gradientRelu',
    'batchSize',
    'threshold',
  ])('explain: %s', async (key) => {
    const explainer = await opened();
    for (const value of wrong)
      await refusedOrDone(`${key} ${String(value)}`, () => explainer.explain(tensor(), { [key]: value }));
  });

  test.each(['top', 'scores', 'output', 'select', 'name'])('targets: %s', async (key) => {
    const explainer = await opened();
    const rest =
      key === 'select' ? { output: 'hidden' } : key === 'name' ? { scores: new Float32Array(5) } : {};
    for (const value of wrong)
      await refusedOrDone(`${key} ${String(value)}`, () =>
        explainer.explain(tensor(), { targets: { ...rest, [key]: value } as never }),
      );
  });
});

describe('mistakes', () => {
  test('a misspelt key of a target', async () => {
    await expect(
      (await opened()).explain(tensor(), { targets: { top: 1, nmae: 'x' } as never }),
    ).rejects.toThrow('"nmae" is not an option of a target with "top". Known: top, output.');
  });

  test('targets given twice', async () => {
    await expect((await opened()).explain(tensor(), { targets: 1, targetsPerImage: [2] })).rejects.toThrow(
      '"targets" and "targetsPerImage" exclude each other',
    );
  });

  test('dims that the values do not fill, or that are empty', async () => {
    const explainer = await opened();
    await expect(explainer.explain(tensor({ data: new Float32Array(5) }))).rejects.toThrow(
      'The tensor has dims [3, 8, 8], which 5 values do not fill.',
    );
    await expect(
      explainer.explain(tensor({ dims: [0, 3, 8, 8], data: new Float32Array(0) })),
    ).rejects.toThrow('it holds nothing');
  });

  test('a sidecar of another size, before any picture is read', async () => {
    await expect(opened({ preprocess: { input: { size: [9, 8] } } })).rejects.toThrow(
      /^The sidecar makes inputs of dims \[N, 3, 9, 8\] .* takes \[N, 3, 8, 8\]\.$/,
    );
  });

  test('a sidecar with another number of classes is noted', async () => {
    const { notes } = await opened({ preprocess: { input: { size: [8, 8] }, classes: ['a', 'b'] } });
    expect(notes).toEqual([expect.stringContaining('names 2 classes, and the model has 5 scores')]);
  });

  test('a second input is fed, or asked for by name', async () => {
    const plain = classifier();
    const prompted = bytesFrom({
      ...plain,
      inputs: { ...plain.inputs, prompt: ['N', 5] },
      outputs: ['matches'],
      nodes: [...plain.nodes, ['Mul', ['logits', 'prompt'], ['matches']]],
    });
    await expect(Explainer.open(prompted)).rejects.toThrow(
      'The scores need more than the picture "image": the inputs "prompt" [N, 5]. Give them as "inputs" (--feed prompt=value or file.npy',
    );
    const given = [1, 2, 3, 4, 5];
    const fed = await Explainer.open(prompted, { inputs: { prompt: given } });
    open.push(fed);
    const unprompted = await Explainer.open(prompted, { output: 'logits' });
    open.push(unprompted);
    const [{ scores: own }] = await unprompted.explain(tensor());
    const [{ scores }] = await fed.explain(tensor());
    expect(Array.from(scores)).toEqual(Array.from(own, (score, m) => Math.fround(score * given[m])));
    expect((await fed.predict(tensor()))[0].scores).toEqual(scores);
    await expect(Explainer.open(prompted, { inputs: { promt: 1 } })).rejects.toThrow(
      '"inputs.promt" must be one of',
    );
    await expect(
      Explainer.open(prompted, { inputs: { prompt: [1, 2] } }).then((e) => e.explain(tensor())),
    ).rejects.toThrow('"inputs.prompt" must have dims [N, 5]; received [2]');
  });

  test('an execution provider that this ONNX Runtime does not know', async () => {
    const explainer = await opened({ executionProviders: ['cpuu'] });
    await expect(explainer.explain(tensor())).rejects.toThrow(
      /^"executionProviders" must be one of .*\bcpu\b.*; received "cpuu"\. Closest: "cpu"/,
    );
  });

  test('an input or a weight for a layer', async () => {
    await expect(opened({ layer: 'image' })).rejects.toThrow('received "image", an input.');
    await expect(opened({ layer: 'w1' })).rejects.toThrow('received "w1", a weight.');
  });

  test('a closed explainer', async () => {
    const explainer = await opened();
    await explainer.close();
    for (const call of [explainer.explain(tensor()), explainer.predict(tensor())])
      await expect(call).rejects.toThrow('The explainer is closed');
  });
});
