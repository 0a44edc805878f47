import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { parseTarget, prepareTarget, targetHelp } from '../../src/targets/index.js';
import { partsOf } from '../../src/targets/common/parts.js';
import type { NetworkFacts, Tools } from '../../src/targets/target.js';
import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import {
  bytesFrom,
  classifier,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';
import { transformer } from '../support/transformer.js';
import { holdsAgainstOracle, networkFacts } from './support.js';

holdsAgainstOracle(() => ({
  name: 'two_inputs',
  layer: '/t/c/c.1/Relu_output_0',
  inputs: { meta: 'meta.npy' },
  targets: [[1], [1]],
}));

/** Two heads behind one trunk: `logits` [N, 5], `age` [N, 3]. */
function twoHeads(): ShortGraph {
  const base = classifier({ head: 'pool' });
  return {
    ...base,
    outputs: ['logits', 'age'],
    nodes: [...base.nodes, ['Gemm', ['flat', 'w5'], ['age'], { transB: 1 }]],
    constants: { ...base.constants, w5: weights(9, [3, 6]) },
  };
}

const image = { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) } as const;
const classes = ['ant', 'bee', 'cat', 'dog', 'eel'];

test('every kind of target has a case', () => {
  const folder = new URL('../../src/targets/', import.meta.url);
  const here = ['class', 'top', 'combination', 'output'];
  const rest = [...here, 'index', 'target', 'common'];
  const kinds = readdirSync(folder).map((file) => file.replace('.ts', ''));
  const own = kinds.filter((name) => !rest.includes(name));
  expect(own.filter((name) => !existsSync(new URL(`./${name}.test.ts`, import.meta.url)))).toEqual([]);
  expect(kinds.length).toBeGreaterThan(rest.length - 1);
});

/** Layer normalisation as exporters before opset 17 write it. */
const writtenOut: ShortNode[] = [
  ['ReduceMean', ['b1', 'channels'], ['mean'], {}],
  ['Sub', ['b1', 'mean'], ['centred']],
  ['Mul', ['centred', 'centred'], ['squares']],
  ['ReduceMean', ['squares', 'channels'], ['variance'], {}],
  ['Add', ['variance', 'epsilon'], ['more']],
  ['Sqrt', ['more'], ['deviation']],
  ['Div', ['centred', 'deviation'], ['normal']],
  ['Mul', ['normal', 'scale'], ['scaled']],
  ['Add', ['scaled', 'shift'], ['norm']],
];

describe.each(['LayerNormalization', 'written out'])('the last tokens of a transformer, %s', (how) => {
  const graph = transformer();
  const network = (outputs: string[]) =>
    bytesFrom({
      ...graph,
      outputs,
      nodes: graph.nodes.flatMap((node) =>
        how === 'written out' && node[2][0] === 'norm' ? writtenOut : [node],
      ),
      constants: { ...graph.constants, epsilon: floatConstant([1e-5], []), channels: int64Constant([-1]) },
    });
  const picture = { type: 'float32', dims: [3, 8, 12], data: values(1, [3, 8, 12]) } as const;

  test('are no detections beside scores', async () => {
    await using explainer = await Explainer.open(network(['norm', 'logits']), { backend: 'reference' });
    expect(explainer.notes.join(' ')).not.toContain('detections');
    const [{ targets }] = await explainer.explain([picture]);
    expect(targets[0].target).toMatchObject({ kind: 'class', output: undefined });
  });

  test('alone, what is meant must be said', async () => {
    await using explainer = await Explainer.open(network(['norm']), { backend: 'reference' });
    await expect(explainer.explain([picture])).rejects.toThrow(
      'The output "norm" [N, 7, 8] holds no scores of classes, [N, classes]; name what to explain ("targets"',
    );
    const [{ targets }] = await explainer.explain([picture], { targets: { output: 'norm', select: 3 } });
    expect(targets[0].target.name).toBe('norm[0, 3]');
  });
});

describe('several outputs of one network', () => {
  test('classes, best ones and positions of each in one run, and which output they are of', async () => {
    await using explainer = await Explainer.open(bytesFrom(twoHeads()), {
      backend: 'reference',
      preprocess: { input: { size: [8, 8] }, classes },
    });
    const [{ targets, scores }] = await explainer.explain([image], {
      targets: [
        { class: 2, output: 'age' },
        'bee',
        { top: 3, output: 'age' },
        { output: 'logits', select: 3 },
      ],
    });
    const [second, bee, ...rest] = targets.map(({ target }) => target);
    expect(second).toMatchObject({ name: '2', kind: 'class', class: 2, output: 'age' });
    expect(bee).toMatchObject({ name: 'bee', kind: 'class', class: 1, output: undefined });
    expect(bee.score).toBe(scores[1]);
    const ages = rest.slice(0, 2); // the third is explained already
    expect(ages.map((target) => target.output)).toEqual(['age', 'age']);
    expect(ages.map((target) => target.class).sort()).toEqual([0, 1]);
    expect(rest[2]).toMatchObject({ name: 'dog', kind: 'output', class: 3 });
    expect(rest[2].score).toBe(scores[3]);
  });
});

describe('--target', () => {
  test('what is typed, and what it stands for', () => {
    expect(parseTarget('class:dog')).toBe('dog');
    expect(parseTarget('class:2:output=age')).toEqual({ class: 2, output: 'age' });
    expect(parseTarget('top:3')).toEqual({ top: 3 });
    expect(parseTarget('top:1:output=age')).toEqual({ top: 1, output: 'age' });
    expect(parseTarget('output:boxes:0:3,4')).toEqual({ output: 'boxes:0', select: [3, 4] });
    expect(() => parseTarget('clas:3')).toThrow(
      /"target" must be KIND:WHAT with one of .*class.*; received "clas:3". Closest: "class"/,
    );
  });

  test('parts that begin with no key belong to what is before them', () => {
    expect(partsOf('dog:mask=C:\\masks\\dog.png:top=2', ['mask', 'top'])).toEqual({
      what: 'dog',
      mask: 'C:\\masks\\dog.png',
      top: '2',
    });
    expect(partsOf('a:b', ['mask'])).toEqual({ what: 'a:b' });
    expect(partsOf('mask=m.npy', ['mask'])).toEqual({ what: '', mask: 'm.npy' });
  });

  test('the help has a line for each that can be typed', () => {
    expect(targetHelp.join('\n')).toMatch(/class:281 +a class/);
  });
});

test('a class of an output that holds no scores of classes is refused where no kind of target fits it', async () => {
  const network = networkFacts(['N', 3, 4, 5, 6, 7]);
  await expect(prepareTarget('dog', network, {} as Tools)).rejects.toThrow(
    'The output "output" [N, 3, 4, 5, 6, 7] holds no scores of classes, [N, classes]; name what to explain ("targets"; for instance --target \'expression:mean("output")\'), or another output ("output"); received the target "dog".',
  );
});

describe('a target that does not fit the output is refused, and those that fit are named', () => {
  const classifier = networkFacts(['N', 8], { size: [96, 96] });
  const detector = networkFacts(['N', 12, 144], { size: [96, 96] });
  const segmenter = networkFacts(['N', 9, 96, 96], { size: [96, 96] });
  const line = networkFacts(['N', 40, 97], { size: [48, 320] });
  const prepared = (typed: string, network: NetworkFacts) =>
    prepareTarget(parseTarget(typed), network, {} as Tools);
  const ofDetector = 'class, detection, top, embedding, output, expression';
  const ofSegmenter = 'class, top, segmentation, embedding, output, expression';
  const ofClassifier = 'class, top, embedding, contrast, output, expression';
  test.each([
    ['contrast:3', detector, 'scores of classes, [N, classes]', ofDetector],
    ['contrast', segmenter, 'scores of classes, [N, classes]', ofSegmenter],
    ['reading', detector, 'the frames of a line of text, [N, frames, characters]', ofDetector],
    ['reading', segmenter, 'the frames of a line of text, [N, frames, characters]', ofSegmenter],
    ['reading', classifier, 'the frames of a line of text, [N, frames, characters]', ofClassifier],
    ['segmentation', detector, 'scores of classes at every pixel, [N, classes, …size]', ofDetector],
    ['segmentation', classifier, 'scores of classes at every pixel, [N, classes, …size]', ofClassifier],
    ['binary', classifier, 'one score a picture, [N, 1]', ofClassifier],
  ])('%s', async (typed, network, what, fitting) => {
    const { name, dims } = network.output;
    await expect(prepared(typed, network)).rejects.toThrow(
      `The target "${typed.replace(/:.*/, '')}" is found in ${what}, and the output "${name}" [${dims.join(', ')}] holds none; use one of ${fitting}, or name another output ("output").`,
    );
  });

  test.each([
    ['contrast', classifier],
    ['contrast', networkFacts(['N', ''])],
    ['reading', line],
    ['reading', networkFacts([40, 'N', 97], { size: [48, 320] })],
    ['reading', networkFacts(['', '', ''], { size: [48, ''] })],
    ['reading:blank=first', detector],
    ['segmentation', segmenter],
    ['segmentation', networkFacts(['N', 9, '', ''], { size: ['', ''] })],
    ['binary', networkFacts(['N', 1])],
    ['binary', networkFacts(['N'])],
  ])('%s where it fits', async (typed, network) => {
    expect((await prepared(typed, network)).spec).toMatchObject({ kind: typed.replace(/:.*/, '') });
  });
});

test('values of an output that holds no scores of classes are called by their place, without a probability', async () => {
  await using explainer = await Explainer.open(bytesFrom(twoHeads()), { backend: 'reference' });
  const [{ targets, scores, probabilities }] = await explainer.explain([image], {
    targets: { output: 'relu2', select: 17 },
  });
  expect(targets[0].target).toMatchObject({
    name: 'relu2[1, 0, 1]',
    class: undefined,
    probability: undefined,
  });
  expect(targets[0].target.score).toBe(scores[17]);
  expect(probabilities).toBeUndefined();
});
