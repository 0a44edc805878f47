import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ResultLine } from '../../src/batch/results/result-line.js';
import { encodePng } from '../../src/image/encode.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { targetKinds } from '../../src/targets/index.js';
import { bytesFrom, grown, type ShortGraph, values, weights } from '../support/network.js';

/** `gradcampp explain --target`, with the built command; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Finds drawn shapes: [N, 4 + classes, candidates]. */
const detector = fileURLToPath(new URL('../../assets/detector', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gradcampp-cli-targets-'));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  const graphs: Record<string, ShortGraph> = {
    segments: grown(['segments'], [['Conv', ['relu2', 'w9'], ['segments'], {}]], {
      w9: weights(9, [5, 6, 1, 1]),
    }),
    objects: grown(
      ['output0'],
      [
        ['Conv', ['relu2', 'w9'], ['raw'], {}],
        ['Reshape', ['raw', 'dims'], ['rows']],
        ['Sigmoid', ['rows'], ['output0']],
      ],
      { w9: weights(9, [9, 6, 1, 1]), dims: int64Constant([0, 9, 16]) },
    ),
    unit: grown(['unit'], [['LpNormalization', ['logits'], ['unit'], { axis: 1, p: 2 }]]),
    heads: grown(['logits', 'age'], [['Gemm', ['flat', 'w9'], ['age'], { transB: 1 }]], {
      w9: weights(9, [1, 6]),
    }),
  };
  const sidecar = JSON.stringify({ input: { size: [8, 8] }, classes: ['ant', 'bee', 'cat', 'dog', 'eel'] });
  for (const [name, graph] of Object.entries(graphs)) {
    writeFileSync(join(folder, `${name}.onnx`), bytesFrom(graph));
    writeFileSync(join(folder, `${name}.json`), sidecar);
  }
  for (const [i, name] of ['one.png', 'two.png'].entries()) {
    const data = Uint8Array.from(values(i, [12, 16, 3]), (value) => 127.5 * (value + 1));
    writeFileSync(join(folder, name), encodePng({ data, width: 16, height: 12, channels: 3 }));
  }
});

async function explain(model: string, ...flags: string[]) {
  const out = mkdtempSync(join(folder, 'out-'));
  const args = [
    'explain',
    'one.png',
    'two.png',
    '--model',
    `${model}.onnx`,
    '--out',
    out,
    '--workers',
    '2',
    ...flags,
  ];
  const ended = await new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
  const lines = () =>
    readFileSync(join(out, 'results.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ResultLine);
  return { ...ended, lines };
}

test('a segmentation: what fits is said, and named in the results', async () => {
  const { code, stdout, stderr, lines } = await explain('segments');
  expect(code).toBe(0);
  expect(stderr).toContain('The output "segments" [N, 5, 4, 4] is taken as a segmentation');
  expect(stdout).toMatch(/one\.png: segmentation (ant|bee|cat|dog|eel) \d+\.\d % → /);
  expect(lines()[0].target.kind).toBe('segmentation');
  const chosen = await explain('segments', '--target', 'segmentation');
  expect(chosen.stderr).not.toContain('is taken as');
  const several = await explain('segments', '--class', 'dog', '--target', 'segmentation:top=2');
  expect(several.lines()[0].target).toMatchObject({ kind: 'segmentation', name: 'dog', class: 3 });
});

test('a detector: objects with their boxes', async () => {
  const { stderr, lines } = await explain('objects', '--target', 'detection:layout=yolov8:top=2');
  expect(stderr).not.toContain('gradcampp:');
  const [{ target }] = lines();
  expect(target).toMatchObject({ kind: 'detection' });
  expect(target.box?.width).toBeGreaterThan(0);
  expect(target.probability).toBeCloseTo(1 / (1 + Math.exp(-target.score)), 5);
});

test('how an object is chosen is said where nothing was, and the layout once', async () => {
  const said = async (...flags: string[]) => (await explain(detector, ...flags)).stderr;
  const [free, chosen] = [await said(), await said('--target', 'detection')];
  expect(free.split('is taken as detections')).toHaveLength(2);
  expect(free).toContain('Explained is the best one');
  expect(chosen.split('is taken as detections')).toHaveLength(2);
  expect(chosen).not.toContain('Explained is the best one');
});

test('an embedding: as alike as itself, and as another picture; without one it is a sentence', async () => {
  const { lines } = await explain('unit', '--like', 'one.png');
  const [self, other] = lines().map(({ target }) => target);
  expect(self).toMatchObject({ kind: 'embedding', name: 'like one.png' });
  expect(self.score).toBeCloseTo(1, 5);
  expect(other.score).toBeLessThan(self.score - 1e-4);
  const alone = await explain('unit', '--quiet');
  expect(alone.code).toBe(1);
  expect(alone.stderr).toMatch(
    /^gradcampp: The output "unit" \[N, 5\] holds an embedding, .*--like FILE.*\n$/,
  );
});

test('several outputs of one network in one run', async () => {
  const flags = [
    '--target',
    'class:bee',
    '--target',
    'regression:output=age',
    '--target',
    'expression:logits[0,1] - age',
  ];
  const { lines } = await explain('heads', ...flags);
  const [bee, age, difference] = lines().map(({ target }) => target);
  expect([bee.output, age.output]).toEqual([undefined, 'age']);
  expect(difference.score).toBeCloseTo(bee.score - age.score, 5);
});

test('what cannot be is one sentence, before any picture', async () => {
  for (const [flag, sentence] of [
    ['segmentaton:dog', 'Closest: "segmentation"'],
    ['detection', '"targets.kind" must be one that fits the outputs, "segments" [N, 5, 4, 4]'],
    ['segmentation:dgo', 'Closest: "dog"'],
    ['segmentation:dog:mask=none.png', 'none.png'],
    ['expression:segments[0] * segments[1]', 'no product or quotient of outputs'],
  ]) {
    const { code, stderr } = await explain('segments', '--target', flag, '--quiet');
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(sentence);
    expect(code).toBe(1);
  }
});

test('the help lists every kind that can be typed', async () => {
  const { stdout } = await explain('segments', '--help');
  for (const kind of targetKinds.filter((name) => name !== 'combination'))
    expect(stdout).toContain(`\n  ${kind}`);
});
