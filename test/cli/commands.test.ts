import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { graphOf } from '../../src/graph/from-model.js';
import { readModel } from '../../src/onnx/read.js';
import { bytesFrom, classifier } from '../support/network.js';

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let folder = '';
let model = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-'));
  model = join(folder, 'model.onnx');
  await writeFile(model, bytesFrom(classifier({ tail: 'softmax' })));
});
afterAll(() => rm(folder, { recursive: true }));

async function gradcampp(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [main, ...args], { cwd: folder })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

describe('gradcampp', () => {
  test('help of every command carries an example', async () => {
    const { stdout } = await gradcampp('--help');
    const names = Array.from(stdout.matchAll(/^ {2}(\w+) /gm), ([, name]) => name).filter(
      (name) => name !== 'help',
    );
    expect(names).toEqual(expect.arrayContaining(['explain', 'inspect', 'differentiate', 'export', 'ops']));
    const helps = await Promise.all(names.map((name) => gradcampp(name, '--help')));
    for (const [i, help] of helps.entries()) expect(help.stdout).toContain(`$ gradcampp ${names[i]}`);
  });

  test('inspect shows scores, layers and operators', async () => {
    const { stdout } = await gradcampp('inspect', model);
    expect(stdout).toContain('scores   logits  float [N, 5], before Softmax');
    expect(stdout).toContain('> relu2  [N, 6, 4, 4]  Relu');
    expect(stdout).toMatch(/has a rule +MaxPool/);
    const json = JSON.parse((await gradcampp('inspect', model, '--layer', 'relu1', '--json')).stdout);
    expect(json.layer).toMatchObject({ name: 'relu1', isActivation: true, isCut: true });
    expect(json.operators.map((operator: { opType: string }) => operator.opType)).toEqual([
      'Conv',
      'Relu',
      'MaxPool',
      'Flatten',
      'Gemm',
      'Relu',
      'Gemm',
    ]);
  });

  test('differentiate writes a model with a seed and gradients', async () => {
    const out = join(folder, 'gradient.onnx');
    const { stdout } = await gradcampp(
      'differentiate',
      model,
      '--of',
      'logits',
      '--wrt',
      'image',
      '--wrt',
      'w1',
      '--out',
      out,
    );
    expect(stdout).toBe(`${out}: grad(image), grad(w1)\n`);
    const graph = graphOf(await readModel(out));
    expect(graph.inputs.map((input) => input.name)).toEqual(['image', 'seed']);
    expect(graph.outputs.map((output) => output.name)).toEqual([
      'probabilities',
      'logits',
      'grad(image)',
      'grad(w1)',
    ]);
  });

  test('export writes a model that explains itself', async () => {
    const out = join(folder, 'explained.onnx');
    const { stdout } = await gradcampp('export', model, '--top', '3', '--out', out);
    expect(stdout).toBe(
      `${out}: probabilities [N, 5], explained_classes [N, 3], explanation_maps [N, 3, 8, 8]\n`,
    );
    expect(graphOf(await readModel(out)).metadata.get('gradcampp.layer')).toBe('relu2');
  });

  test('ops lists rules and reasons', async () => {
    const { stdout } = await gradcampp('ops', '--json');
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows.find((row) => (row.opType ?? row.op) === 'Conv')).toBeDefined();
    expect(rows.length).toBeGreaterThan(150);
  });

  test.each([
    [['inspect', 'none.onnx'], 'Cannot read model "none.onnx": there is no such file.'],
    [['inspect', 'model.onnx', '--layer', 'relu7'], 'Closest: "relu'],
    [['differentiate', 'model.onnx', '--wrt', 'imgae', '--out', 'x.onnx'], 'Closest: "image"'],
    [['differentiate', 'model.onnx', '--wrt', 'image', '--out', 'no/such/folder/x.onnx'], 'Cannot write'],
    [['export', 'model.onnx', '--method', 'cam', '--out', 'x.onnx'], '"method" must be one of'],
    [['export', 'model.onnx', '--top', '9', '--out', 'x.onnx'], '"top" must be a whole number from 1 to 5'],
  ])('%j: one line, exit code 1', async (args, message) => {
    const { code, stderr } = await gradcampp(...args);
    expect(code).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  test('a misspelt flag is refused', async () => {
    const { code, stderr } = await gradcampp('inspect', 'model.onnx', '--laier', 'x');
    expect(code).toBe(1);
    expect(stderr).toContain("unknown option '--laier'");
  });
});
