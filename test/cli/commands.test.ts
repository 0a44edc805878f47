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
    expect(stdout.split('\n')).toEqual([
      out,
      'inputs   image [N, 3, 8, 8], seed [N, 5]',
      'outputs  probabilities [N, 5], logits [N, 5], grad(image) [N, 3, 8, 8], grad(w1) [4, 3, 3, 3]',
      '',
    ]);
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
    expect(stdout.split('\n')).toEqual([
      out,
      'inputs   image [N, 3, 8, 8]',
      'outputs  probabilities [N, 5], explained_classes [N, 3], explanation_maps [N, 3, 8, 8]',
      '',
    ]);
    expect(graphOf(await readModel(out)).metadata.get('gradcampp.layer')).toBe('relu2');
  });

  test('export takes classes by index and by name, several layers, and flags before the model', async () => {
    const out = join(folder, 'classes.onnx');
    const sidecar = { input: { size: [8, 8] }, classes: ['ant', 'bee', 'cat', 'dog', 'eel'] };
    await writeFile(join(folder, 'names.json'), JSON.stringify(sidecar));
    const flags = ['--class', 'dog', '--target', 'class:1', '--preprocess', 'names.json', '--layer', 'relu1'];
    const { stdout } = await gradcampp('export', ...flags, '--layer', 'relu2', model, '--out', out);
    expect(stdout).toContain('explained_classes [N, 2]');
    expect(graphOf(await readModel(out)).metadata.get('gradcampp.layer')).toBe('relu1, relu2');
  });

  test('inspect tells the operator set and nodes of the file, not of what is run', async () => {
    const json = JSON.parse((await gradcampp('inspect', model, '--json')).stdout);
    const { proto } = await readModel(model);
    expect(json).toMatchObject({
      opset: Number(proto.opsetImport[0].version),
      nodes: proto.graph?.node.length,
    });
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
    [['export', 'model.onnx', '--method', 'rise', '--out', 'x.onnx'], 'The method "rise" cannot be exported'],
    [['export', 'model.onnx', '--target', 'reading', '--out', 'x.onnx'], 'The target "reading" cannot be'],
    [
      ['differentiate', 'model.onnx', '--wrt', 'image', '--out', 'model.onnx'],
      'must be another file than the model',
    ],
    [['export', 'model.onnx', '--out', './model.onnx'], 'must be another file than the model'],
    [
      ['export', 'model.onnx', '--top', 'x', '--out', 'x.onnx'],
      '"targets.top" must be a whole number of at least 1; received "x"',
    ],
    [
      ['export', 'model.onnx', '--class', '5', '--out', 'x.onnx'],
      '"class" must be a whole number from 0 to 4',
    ],
    [
      ['export', 'model.onnx', '--top', '9', '--out', 'x.onnx'],
      '"targets.top" must be a whole number from 1 to 5',
    ],
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
