import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { checkSidecar, readClasses } from '../../src/image/sidecar.js';
import { bytesFrom, classifier } from '../support/network.js';

const half = [0.5, 0.5, 0.5];

test('a ViT: stretched to the size, bilinear, mean and std', async () => {
  const { input } = await checkSidecar({
    image_processor_type: 'ViTImageProcessor',
    do_resize: true,
    size: { height: 224, width: 224 },
    resample: 2,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: half,
    image_std: half,
  });
  expect(input).toMatchObject({
    size: [224, 224],
    resizeMode: 'stretch',
    interpolation: 'pillow-bilinear',
    range: 1,
  });
  expect([input.mean, input.std]).toEqual([half, half]);
});

test('CLIP: shorter edge, centre crop, bicubic', async () => {
  const { input } = await checkSidecar({
    feature_extractor_type: 'CLIPFeatureExtractor',
    do_center_crop: true,
    crop_size: { height: 224, width: 224 },
    size: { shortest_edge: 256 },
    resample: 3,
    image_mean: half,
    image_std: half,
  });
  expect(input).toMatchObject({
    size: [224, 224],
    resize: 256,
    resizeMode: 'shorter-edge',
    interpolation: 'pillow-bicubic',
  });
});

test('ConvNeXT: the shorter edge is the size over crop_pct', async () => {
  const { input } = await checkSidecar({ do_resize: true, size: { shortest_edge: 224 }, crop_pct: 0.875 });
  expect(input).toMatchObject({ size: [224, 224], resize: 256, resizeMode: 'shorter-edge' });
});

test('another scale is part of mean and std: (v · factor − mean) / std', async () => {
  const { input, notes } = await checkSidecar({
    do_resize: true,
    size: 64,
    resample: 0,
    rescale_factor: 1 / 127.5,
    image_mean: [1, 1, 1],
    image_std: [1, 1, 1],
  });
  const value = 200;
  expect((value / 255 - input.mean[0]) / input.std[0]).toBeCloseTo(value / 127.5 - 1, 12);
  expect(notes).toEqual(['Its resampling 0 is not known here: bilinear is used.']);
});

test('it is found beside a model or in the folder above, with the names of config.json', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gradcampp-hf-'));
  await mkdir(join(folder, 'onnx'));
  await writeFile(join(folder, 'onnx', 'model.onnx'), bytesFrom(classifier()));
  await writeFile(
    join(folder, 'preprocessor_config.json'),
    JSON.stringify({ do_resize: true, size: { height: 8, width: 8 }, image_mean: half, image_std: half }),
  );
  const labels = { id2label: { 0: 'ant', 1: 'bee', 2: 'cat', 3: 'dog', 4: 'eel' } };
  await writeFile(join(folder, 'config.json'), JSON.stringify(labels));
  await using explainer = await Explainer.open(join(folder, 'onnx', 'model.onnx'), { backend: 'reference' });
  expect(explainer.preprocessing).toMatchObject({ size: [8, 8], mean: half });
  expect(explainer.classes?.map(({ name }) => name)).toEqual(['ant', 'bee', 'cat', 'dog', 'eel']);
  expect(explainer.notes[0]).toMatch(/^Preprocessing and class names from ".*preprocessor_config\.json"\.$/);
});

test('class names: a line each, or by number; UTF-16 too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gradcampp-names-'));
  const write = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  const names = [{ name: 'tench' }, { name: 'gold fish' }];
  expect(await readClasses(await write('a.txt', 'tench\r\n gold fish \n\n'))).toEqual(names);
  expect(await readClasses(await write('b.json', '{"1": "gold fish", "0": "tench"}'))).toEqual(names);
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('tench\ngold fish', 'utf16le')]);
  expect(await readClasses(await write('c.txt', utf16))).toEqual(names);
  await expect(readClasses(await write('d.txt', 'a\n\nb'))).rejects.toThrow(
    'must hold a class name a line; line 2 is empty',
  );
  await expect(readClasses(await write('e.json', '{"0": "a", "2": "c"}'))).rejects.toThrow(
    'must hold an array of names',
  );
});
