import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { encodePng } from '../../src/image/encode.js';
import { encodeNpy } from '../../src/image/npy.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { parseTarget, type Target, targetKinds } from '../../src/targets/index.js';
import {
  bytesFrom,
  classifier,
  grown,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';

/** docs/targets.md: every example in it is run, on a small network of the kind that it is about. */
const page = readFileSync(new URL('../../docs/targets.md', import.meta.url), 'utf8');
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((text) => ({ names: text.split('\n', 1)[0].split(', '), text }));

const classes = ['ant', 'cat', 'dog', 'wolf', 'eel'];
const inRows = (name: string): ShortNode[] => [
  ['Conv', ['relu2', `${name}_w`], [`${name}_map`], {}],
  ['Reshape', [`${name}_map`, `${name}_dims`], [`${name}_columns`]],
  ['Transpose', [`${name}_columns`], [name], { perm: [0, 2, 1] }],
];
const rowConstants = (name: string, channels: number, seed: number) => ({
  [`${name}_w`]: weights(seed, [channels, 6, 1, 1]),
  [`${name}_dims`]: int64Constant([0, channels, 16]),
});

const plain = classifier({ head: 'pool' });
const networks: Readonly<Record<string, { graph: ShortGraph; classes?: string[] }>> = {
  class: { graph: plain },
  contrast: { graph: plain },
  binary: { graph: classifier({ classes: 1, tail: 'sigmoid' }), classes: ['cat', 'dog'] },
  regression: { graph: classifier({ classes: 1 }), classes: ['size'] },
  segmentation: {
    graph: grown(['segments'], [['Conv', ['relu2', 'w9'], ['segments'], {}]], {
      w9: weights(9, [5, 6, 1, 1]),
    }),
  },
  detection: {
    graph: grown(
      ['queries', 'pred_boxes'],
      [...inRows('queries'), ...inRows('raw'), ['Sigmoid', ['raw'], ['pred_boxes']]],
      {
        ...rowConstants('queries', 6, 10),
        ...rowConstants('raw', 4, 11),
      },
    ),
  },
  reading: {
    graph: grown(
      ['frames'],
      [...inRows('rows'), ['Softmax', ['rows'], ['frames'], { axis: 2 }]],
      rowConstants('rows', 5, 12),
    ),
    classes: ['<blank>', 'a', 'b', 'c', 'd'],
  },
  caption: { graph: grown(['rows'], inRows('rows'), rowConstants('rows', 5, 12)) },
  embedding: { graph: grown(['unit'], [['LpNormalization', ['logits'], ['unit'], { axis: 1, p: 2 }]]) },
  output: { graph: plain },
  expression: { graph: plain },
  combination: { graph: plain },
};

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-targets-'));
const files = ['mask.png', 'other.png', 'vector.npy', 'keys.txt'];
beforeAll(() => {
  const noise = (seed: number) => Uint8Array.from(values(seed, [8, 8, 3]), (value) => 127.5 * (value + 1));
  const picture = (data: Uint8Array) => encodePng({ data, width: 8, height: 8, channels: 3 });
  writeFileSync(join(folder, 'mask.png'), picture(new Uint8Array(192).fill(255, 0, 96)));
  writeFileSync(join(folder, 'other.png'), picture(noise(2)));
  writeFileSync(join(folder, 'vector.npy'), encodeNpy({ type: 'float32', dims: [5], data: values(3, [5]) }));
  writeFileSync(join(folder, 'keys.txt'), 'a\nb\nc\nd\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Files that an example names lie in the test's folder. */
const placed = (text: string) =>
  files.reduce((own, file) => own.replaceAll(`=${file}`, `=${join(folder, file)}`), text);

/** What the command line of an example asks for. */
function typed(text: string): Target[] {
  const [, shell = ''] = /```sh\n(.*?)```/s.exec(text) ?? [];
  return [...shell.matchAll(/--target (?:'([^']+)'|(\S+))/g)].map(([, quoted, bare]) =>
    parseTarget(placed(quoted ?? bare)),
  );
}

/** What the code of an example asks for. */
function written(text: string): Target | Target[] | undefined {
  const [, code] = /```ts\n(.*?)```/s.exec(text) ?? [];
  if (code === undefined) return undefined;
  const [, before, options] = /^(.*?)await explainer\.explain\('cat\.jpg', (.*)\);\n$/s.exec(code) ?? [];
  return new Function(`${before} return (${options}).targets;`)();
}

describe('docs/targets.md', () => {
  test('has a section for every kind of target', () => {
    expect(sections.flatMap(({ names }) => names).sort()).toEqual([...targetKinds].sort());
  });

  test.each(sections)('$names', async ({ names: [name], text }) => {
    const { graph, classes: own = classes } = networks[name];
    await using explainer = await Explainer.open(bytesFrom(graph), {
      backend: 'reference',
      preprocess: { input: { size: [8, 8] }, classes: own },
    });
    const image = { type: 'float32', dims: [3, 8, 8], data: values(1, [3, 8, 8]) } as const;
    const code = written(text);
    const lists = [...typed(text), ...(code === undefined ? [] : [code])];
    expect(lists.length).toBeGreaterThan(0);
    for (const targets of lists) {
      const [{ targets: explained }] = await explainer.explain(image, { targets });
      expect(explained.length).toBeGreaterThan(0);
      for (const { target, map } of explained) {
        expect(target.kind === name || target.kind === 'class').toBe(true);
        expect(Number.isFinite(target.score)).toBe(true);
        expect(map.dims).toEqual([8, 8]);
      }
    }
  });
});
