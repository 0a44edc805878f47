import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AnyLine, ResultLine } from '../../src/batch/results/result-line.js';
import { decodeImage } from '../../src/image/decode.js';
import { encodePng } from '../../src/image/encode.js';
import { encodeNpy, parseNpy } from '../../src/image/npy.js';
import { serialize } from '../../src/runtime/session.js';
import { bytesFrom, classifier, graphFrom, values, weights } from '../support/network.js';

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gradcampp-explain-'));
let out = '';

const noise = (seed: number, width: number, height: number) => ({
  data: Uint8Array.from(values(seed, [height, width, 3]), (value) => 127.5 * (value + 1)),
  width,
  height,
  channels: 3 as const,
});

beforeAll(() => {
  writeFileSync(join(folder, 'model.onnx'), bytesFrom(classifier({ tail: 'softmax' })));
  const classes = ['ant', 'bee', 'cat', 'dog', 'eel'];
  writeFileSync(join(folder, 'model.json'), JSON.stringify({ input: { size: [8, 8] }, classes }));
  writeFileSync(join(folder, 'cat.png'), encodePng(noise(1, 20, 10)));
  mkdirSync(join(folder, 'photos'));
  writeFileSync(join(folder, 'photos', 'cat.png'), encodePng(noise(2, 12, 12)));
  writeFileSync(join(folder, 'broken.png'), 'no picture');
});
beforeEach(() => {
  out = mkdtempSync(join(folder, 'out-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Result {
  code: number;
  stdout: string;
  stderr: string;
}
function run(args: readonly string[], input = ''): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [main, 'explain', ...args],
      { cwd: folder },
      (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}
const explain = (...args: string[]) => run([...args, '--out', out]);
const lines = (text: string): AnyLine[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('gradcampp explain', () => {
  test('pictures and folders: an overlay each, a line each', async () => {
    const { code, stdout, stderr } = await explain('cat.png', 'photos', '--model', 'model.onnx');
    expect(code).toBe(0);
    const [first, second] = lines(readFileSync(join(out, 'results.jsonl'), 'utf8')) as ResultLine[];
    expect(first).toMatchObject({
      index: 0,
      image: { path: 'cat.png', width: 20, height: 10 },
      layers: ['relu2'],
      method: 'grad-cam++',
      settings: { form: 'exp', alphaNormalization: false, gradientRelu: true },
      map: { dims: [8, 8], empty: false },
      files: { overlay: 'cat.overlay.jpg' },
    });
    expect(second).toMatchObject({
      image: { path: join('photos', 'cat.png') },
      files: { overlay: 'cat-2.overlay.jpg' },
    });
    expect(await decodeImage(join(out, 'cat.overlay.jpg'))).toMatchObject({ width: 20, height: 10 });
    expect(stdout).toMatch(new RegExp(`^cat.png: ${first.target.name} \\d+\\.\\d % → cat.overlay.jpg\n`));
    expect(stderr).toMatch(/Layer: relu2 \(chosen automatically\)/);
    expect(stderr).toMatch(/2 of 2 pictures explained/);
  });

  test('--json prints the lines of results.jsonl and nothing else', async () => {
    const { stdout, stderr } = await explain('cat.png', '--model', 'model.onnx', '--json', '--quiet');
    expect(stdout).toBe(readFileSync(join(out, 'results.jsonl'), 'utf8'));
    expect(stderr).toBe('');
  });

  test('several classes, methods and kinds of files', async () => {
    const flags = [
      '--class',
      'eel',
      '--class',
      '1',
      '--top',
      '1',
      '--method',
      'grad-cam',
      '--method',
      'grad-cam++',
    ];
    const save = [
      '--save',
      'overlay,map',
      '--save',
      'npy,raw,cutout',
      '--layer',
      'relu1',
      '--layer',
      'relu2',
    ];
    await explain('cat.png', '--model', 'model.onnx', ...flags, ...save, '--threshold', '0.5');
    const results = lines(readFileSync(join(out, 'results.jsonl'), 'utf8')) as ResultLine[];
    expect(results.slice(0, 4).map(({ target, method }) => `${target.name} ${method}`)).toEqual([
      'eel grad-cam',
      'eel grad-cam++',
      'bee grad-cam',
      'bee grad-cam++',
    ]);
    expect(results[0].layers).toEqual(['relu1', 'relu2']);
    expect(results[1].files).toEqual({
      overlay: 'cat.4.grad-cam++.overlay.jpg',
      map: 'cat.4.grad-cam++.map.png',
      npy: 'cat.4.grad-cam++.npy',
      raw: 'cat.4.grad-cam++.raw.npy',
      cutout: 'cat.4.grad-cam++.cutout.png',
    });
    const written = readdirSync(out).filter((name) => name.startsWith('cat.'));
    expect(written.sort()).toEqual(results.flatMap(({ files }) => Object.values(files)).sort());
    expect(parseNpy(readFileSync(join(out, 'cat.4.grad-cam++.npy'))).dims).toEqual([8, 8]);
  });

  test('every variant of the method changes the map', async () => {
    const mapOf = async (...flags: string[]) => {
      await explain(
        'cat.png',
        '--model',
        'model.onnx',
        '--class',
        '2',
        '--save',
        'npy',
        '--layer',
        'relu1',
        '--overwrite',
        ...flags,
      );
      return Array.from(parseNpy(readFileSync(join(out, 'cat.npy'))).data, Number);
    };
    const plain = await mapOf();
    const variants = [
      ['--form', 'softmax'],
      ['--alpha-normalization'],
      ['--no-gradient-relu'],
      ['--method', 'layer-cam'],
      ['--method', 'guided-backprop'],
    ];
    for (const flags of variants) expect(await mapOf(...flags), flags.join(' ')).not.toEqual(plain);
  });

  test.each([
    [
      ['cat.png', '--compat', 'authors', '--layer', 'relu1,relu2'],
      '"compat" authors explains one layer; received 2. Leave it out, or name one layer.',
    ],
    [['cat.png', '--method', 'attention-rollout'], 'Use a method of a layer, such as grad-cam++.'],
    [['cat.png', '--method', 'cam', '--layer', 'relu1'], 'Method "cam" needs global average pooling'],
    [
      ['missing.png', 'gone.png'],
      'None of the 2 pictures exists, from "missing.png" on: there is nothing to replace the results in',
    ],
  ])('what cannot be explained is refused before a former run is removed: %j', async (flags, sentence) => {
    await explain('cat.png', '--model', 'model.onnx');
    const held = () => readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'base64')]);
    const before = held();
    const { code, stderr } = await run([...flags, '--model', 'model.onnx', '--out', out, '--overwrite']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(sentence) });
    expect(held()).toEqual(before);
  });

  test('a reader that goes away ends the run quietly, and not as if all had been delivered', async () => {
    const pictures = Array<string>(200).fill('cat.png');
    const flags = ['--model', 'model.onnx', '--out', out, '--json', '--quiet', '--workers', '2'];
    const child = spawn(process.execPath, [main, 'explain', ...pictures, ...flags], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdout.destroy(); // before anything is written
    const [code, signal] = await once(child, 'close');
    expect({ code, signal, stderr }).toEqual({ code: 141, signal: null, stderr: '' });
  });

  test('a map that is no picture is refused with the name of its file, and saved as numbers', async () => {
    const signal = bytesFrom({
      inputs: { signal: ['N', 2, 16] },
      outputs: ['scores'],
      constants: { w: weights(1, [3, 2, 3]), v: weights(2, [3, 4]) },
      nodes: [
        ['Conv', ['signal', 'w'], ['conv'], { pads: [1, 1] }],
        ['Relu', ['conv'], ['relu']],
        ['GlobalAveragePool', ['relu'], ['pool']],
        ['Flatten', ['pool'], ['flat']],
        ['MatMul', ['flat', 'v'], ['scores']],
      ],
    });
    writeFileSync(join(folder, 'signal.onnx'), signal);
    const tensor = { type: 'float32', dims: [2, 16], data: values(3, [2, 16]) } as const;
    writeFileSync(join(folder, 'signal.npy'), encodeNpy(tensor));
    const refused = await explain('signal.npy', '--model', 'signal.onnx');
    expect(refused.stderr).toContain('gradcampp: signal.npy: A map of dims [16] cannot be drawn');
    expect(refused.code).toBe(1);
    expect((await explain('signal.npy', '--model', 'signal.onnx', '--save', 'npy')).code).toBe(0);
  });

  test('paths on standard input, tensors, the picture that the network saw', async () => {
    const flags = [
      '--model',
      'model.onnx',
      '--picture',
      'input',
      '--colormap',
      'gray',
      '--opacity',
      '1',
      '--out',
      out,
    ];
    expect((await run(['-', ...flags], 'cat.png\nphotos/cat.png\n')).code).toBe(0);
    expect(await decodeImage(join(out, 'cat.overlay.jpg'))).toMatchObject({ width: 8, height: 8 });
  });
});

describe('bad input: one line, exit code 1, no stack', () => {
  const bad: [string, string[], RegExp][] = [
    ['a text file named .onnx', ['cat.png', '--model', 'text.onnx'], /"text.onnx" is not an ONNX model/],
    [
      'half a model',
      ['cat.png', '--model', 'half.onnx'],
      /"half.onnx" is not an ONNX model, or only part of one/,
    ],
    ['no model', ['cat.png', '--model', 'none.onnx'], /Cannot read model "none.onnx": there is no such file/],
    [
      'a layer that does not exist',
      ['cat.png', '--model', 'model.onnx', '--layer', 'relu9'],
      /"relu9".*Closest: "relu2", "relu1"/,
    ],
    [
      'a layer after the scores',
      ['cat.png', '--model', 'model.onnx', '--layer', 'probabilities'],
      /Layer "probabilities" comes after the scores/,
    ],
    [
      'class 5 of 5',
      ['cat.png', '--model', 'model.onnx', '--class', '5'],
      /from 0 to 4, since the model has 5 classes/,
    ],
    ['an unknown class name', ['cat.png', '--model', 'model.onnx', '--class', 'bea'], /Closest: "bee"/],
    [
      'an opacity of 2',
      ['cat.png', '--model', 'model.onnx', '--opacity', '2'],
      /"opacity" must be a number from 0 to 1/,
    ],
    ['an opacity that is no number', ['cat.png', '--model', 'model.onnx', '--opacity', 'x'], /received "x"/],
    [
      'an unknown kind',
      ['cat.png', '--model', 'model.onnx', '--save', 'heat'],
      /"save" must be one of overlay/,
    ],
    ['an unknown method', ['cat.png', '--model', 'model.onnx', '--method', 'gradcam'], /Closest: "grad-cam"/],
    ['nothing to explain', ['--model', 'model.onnx'], /No pictures were named/],
    [
      'an unreadable picture',
      ['broken.png', '--model', 'model.onnx'],
      /"broken.png" cannot be read as a picture/,
    ],
    [
      'a picture that is not there',
      ['none.png', '--model', 'model.onnx'],
      /"none.png".*there is no such file/,
    ],
    ['30,000 × 30,000 pixels', ['huge.png', '--model', 'model.onnx'], /30000 × 30000 pixels/],
    [
      'a folder that is a file',
      ['cat.png', '--model', 'model.onnx', '--out', 'cat.png'],
      /"cat.png" cannot be written/,
    ],
    [
      'a folder in /proc',
      ['cat.png', '--model', 'model.onnx', '--out', '/proc/x'],
      /"\/proc\/x" cannot be written/,
    ],
    ['an archive that is none', ['--input', 'text.onnx', '--model', 'model.onnx'], /The archive "text.onnx"/],
  ];
  beforeAll(() => {
    writeFileSync(
      join(folder, 'text.onnx'),
      'this is no model, only text that is long enough to be a block of tar. '.repeat(20),
    );
    const model = readFileSync(join(folder, 'model.onnx'));
    writeFileSync(join(folder, 'half.onnx'), model.subarray(0, model.length / 2));
    const huge = encodePng(noise(1, 1, 1));
    huge.writeUInt32BE(30_000, 16);
    huge.writeUInt32BE(30_000, 20);
    writeFileSync(join(folder, 'huge.png'), huge);
  });
  test.each(bad)('%s', async (_, args, message) => {
    const { code, stderr } = await (args.includes('--out')
      ? run([...args, '--quiet'])
      : explain(...args, '--quiet'));
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(code).toBe(1);
  });

  test('the other pictures are explained, exit code 3; a picture of one pixel is none of them', async () => {
    writeFileSync(join(folder, 'one.png'), encodePng(noise(9, 1, 1)));
    const { code, stderr } = await explain(
      'broken.png',
      'cat.png',
      'one.png',
      '--model',
      'model.onnx',
      '--quiet',
    );
    expect(code).toBe(3);
    const said = stderr.trim().split('\n');
    expect(said).toHaveLength(2);
    expect(said[1]).toMatch(/"one.png" has 1 × 1 pixels, and a map needs at least two places to compare/);
    expect(lines(readFileSync(join(out, 'results.jsonl'), 'utf8')).map((line) => 'error' in line)).toEqual([
      true,
      false,
      true,
    ]);
    expect(existsSync(join(out, 'cat.overlay.jpg'))).toBe(true);
  });

  test('missing external data', async () => {
    const { bytes } = serialize(graphFrom(classifier({ classes: 300 }))); // large weights lie beside it
    writeFileSync(join(folder, 'external.onnx'), bytes);
    const { code, stderr } = await explain('cat.png', '--model', 'external.onnx', '--quiet');
    expect(code).toBe(1);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toMatch(/external.onnx/);
  });

  test('a resumed run needs the same settings', async () => {
    await explain('cat.png', '--model', 'model.onnx', '--quiet');
    cpSync(out, `${out}-copy`, { recursive: true });
    const { code, stderr } = await explain(
      'cat.png',
      '--model',
      'model.onnx',
      '--resume',
      '--opacity',
      '0.2',
      '--quiet',
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/holds another run, which differs in the settings/);
  });
});
