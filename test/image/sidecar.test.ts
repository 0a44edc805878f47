import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GradcamppError } from '../../src/errors.js';
import { checkSidecar, readClasses, readSidecar } from '../../src/image/sidecar.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-sidecar-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, content: unknown): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

test('the smallest sidecar, with the defaults filled in', async () => {
  expect(await checkSidecar({ input: { size: [32, 48] } })).toEqual({
    input: {
      layout: 'NCHW',
      size: [32, 48],
      resizeMode: 'shorter-edge',
      interpolation: 'pillow-bilinear',
      channels: 'RGB',
      range: 1,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    },
    alternativeLayers: [],
  });
  const grey = await checkSidecar({ input: { size: [28, 28], channels: 'gray' } });
  expect(grey.input).toMatchObject({ mean: [0], std: [1] });
});

test('every key is kept', async () => {
  const input = {
    name: 'data',
    layout: 'NHWC',
    size: [227, 227],
    resize: 256,
    resizeMode: 'stretch',
    interpolation: 'torch-bilinear',
    channels: 'BGR',
    range: 255,
    mean: [104, 117, 123],
    std: [1, 2, 3],
  };
  const rest = { output: 'logits', targetLayer: 'conv5', alternativeLayers: ['conv4', 'conv3'] };
  expect(
    await checkSidecar({ input, ...rest, classes: ['cat', { name: 'dog', wnid: 'n02084071' }] }),
  ).toEqual({
    input,
    ...rest,
    classes: [{ name: 'cat' }, { name: 'dog', wnid: 'n02084071' }],
  });
});

test('a file, and its classes in a file beside it', async () => {
  await write('names.json', [{ wnid: 'n1', name: 'tench' }, 'goldfish']);
  const path = await write('model.json', `\uFEFF{ "input": { "size": [8, 8] }, "classes": "names.json" }`);
  const sidecar = await readSidecar(path);
  expect(sidecar.classes).toEqual([{ wnid: 'n1', name: 'tench' }, { name: 'goldfish' }]);
  expect(await readClasses(join(folder, 'names.json'))).toEqual(sidecar.classes);
});

const input = { size: [2, 2] };
test.each<[unknown, string]>([
  [3, 'must hold an object; received 3.'],
  [null, 'must hold an object; received null.'],
  [[input], 'must hold an object; received [an object {size}].'],
  [{}, 'lacks "input", an object that holds at least "size".'],
  [{ imput: input }, 'has an unknown key "imput". Closest: "input", "inputs", "output".'],
  [{ input, target: 'x' }, 'has an unknown key "target". Closest: "targetLayer".'],
  [
    { input, zzzzzzzzz: 1 },
    'has an unknown key "zzzzzzzzz". Known: input, output, classes, targetLayer, alternativeLayers, inputs.',
  ],
  [{ input: { ...input, meann: [] } }, 'has an unknown key "input.meann". Closest: "mean"'],
  [{ input: {} }, 'lacks "input.size", [height, width], two whole numbers from 1 to 65536.'],
  [{ input: 3 }, 'has a bad "input": it must be an object that holds at least "size"; received 3.'],
  [
    { input: { size: 224 } },
    'has a bad "input.size": it must be [height, width], two whole numbers from 1 to 65536; received 224.',
  ],
  [
    { input: { size: [224] } },
    'has a bad "input.size": it must be [height, width], two whole numbers from 1 to 65536; received [224].',
  ],
  [
    { input: { size: [2, 2, 2] } },
    'has a bad "input.size": it must be [height, width], two whole numbers from 1 to 65536; received [2, 2, 2].',
  ],
  [{ input: { size: [2, '2'] } }, 'received [2, "2"].'],
  [{ input: { size: [2, 0] } }, 'received [2, 0].'],
  [
    { input: { ...input, resize: 1.5 } },
    'has a bad "input.resize": it must be a whole number from 1 to 65536, the shorter edge before the crop; received 1.5.',
  ],
  [
    { input: { ...input, channels: 'rgb' } },
    'has a bad "input.channels": it must be one of RGB, BGR, gray; received "rgb".',
  ],
  [
    { input: { ...input, layout: 'CHW' } },
    'has a bad "input.layout": it must be one of NCHW, NHWC, NCTHW, NTCHW, NTHWC; received "CHW".',
  ],
  [
    { input: { ...input, interpolation: 'bilinear' } },
    'it must be one of pillow-bilinear, pillow-bicubic, torch-bilinear; received "bilinear".',
  ],
  [{ input: { ...input, range: 2 } }, 'has a bad "input.range": it must be 1 or 255; received 2.'],
  [
    { input: { ...input, mean: [0.5] } },
    '"input.mean" must hold 3 numbers, one for each channel of RGB; received [0.5].',
  ],
  [
    { input: { ...input, mean: 'x' } },
    'has a bad "input.mean": it must be an array of numbers, one a channel; received "x".',
  ],
  [
    { input: { ...input, std: [1, 0, 1] } },
    '"input.std" must be an array of positive numbers, one a channel; received [1, 0, 1].',
  ],
  [{ input: { ...input, std: [1, Infinity, 1] } }, 'received [1, Infinity, 1].'],
  [
    { input, classes: [] },
    'has a bad "classes": it must be an array of names, {"0": name, …}, or the name of a JSON or text file that holds them; received [].',
  ],
  [{ input, classes: ['a', { wnid: 'n1' }] }, 'received ["a", an object {wnid}].'],
  [{ input, output: '' }, 'has a bad "output": it must be the name of the score tensor; received "".'],
  [
    { input, alternativeLayers: 'x' },
    'has a bad "alternativeLayers": it must be an array of names of layers; received "x".',
  ],
])('%j is refused in one sentence', async (value, expected) => {
  const error = await checkSidecar(value, 'm.json').catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(GradcamppError);
  expect((error as GradcamppError).code).toBe('INVALID_OPTION');
  expect((error as GradcamppError).message).toMatch(/^"m.json" [^\n]+\.$/);
  expect((error as GradcamppError).message).toContain(expected);
});

test('files that are missing, no JSON, or hold no classes', async () => {
  await expect(readSidecar(join(folder, 'none.json'))).rejects.toThrow(
    'none.json" cannot be read: there is no such file.',
  );
  await expect(readSidecar(folder)).rejects.toThrow('cannot be read: it is a folder.');
  await expect(readSidecar(await write('bad.json', '{ "input": '))).rejects.toThrow(
    /bad.json" is not JSON: .+\.$/,
  );
  const lost = await write('lost.json', { input, classes: 'nowhere.json' });
  await expect(readSidecar(lost)).rejects.toThrow(
    /nowhere.json" cannot be read: there is no such file. It is named by "classes" in ".*lost.json"\.$/,
  );
  const object = await write('object.json', { cat: 0 });
  await expect(readClasses(object)).rejects.toThrow(
    'must hold an array of names or of {name, wnid}, or {"0": name, …}; received an object {cat}.',
  );
});

const models = fileURLToPath(new URL('../../../shared/models/', import.meta.url));
test.skipIf(!existsSync(models))(
  'the sidecars of the shared models (skipped where ../shared is missing)',
  async () => {
    const squeezenet = await readSidecar(join(models, 'squeezenet1_0.json'));
    expect(squeezenet.input).toEqual({
      name: 'data',
      layout: 'NCHW',
      size: [227, 227],
      resize: 256,
      resizeMode: 'shorter-edge',
      interpolation: 'pillow-bilinear',
      channels: 'BGR',
      range: 255,
      mean: [104, 117, 123],
      std: [1, 1, 1],
    });
    expect(squeezenet.classes?.length).toBe(1000);
    expect(squeezenet.classes?.[0]).toEqual({ name: 'tench', wnid: 'n01440764' });
    for (const name of ['resnet20_cifar10', 'resnet56_cifar10']) {
      const { input, classes, output } = await readSidecar(join(models, `${name}.json`));
      expect([input.size, input.resize, classes?.length, output]).toEqual([
        [32, 32],
        undefined,
        10,
        'logits',
      ]);
    }
  },
);
