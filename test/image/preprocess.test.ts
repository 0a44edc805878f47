import { describe, expect, test } from 'vitest';
import { defaultPreprocessing } from '../../src/image/imagenet.js';
import {
  cropToInput,
  inputGeometry,
  type Preprocessing,
  preprocess,
  seenPart,
} from '../../src/image/preprocess.js';
import type { Pixels } from '../../src/image/pixels.js';
import { digest, pattern } from './pictures.js';

const imagenet: Preprocessing = {
  layout: 'NCHW',
  size: [224, 224],
  resize: 256,
  resizeMode: 'shorter-edge',
  interpolation: 'pillow-bilinear',
  channels: 'RGB',
  range: 1,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

// Digests of the float32 bytes of `Compose([Resize(resize), CenterCrop(size), ToTensor(), Normalize(mean, std)])` on
// `Image.fromarray(pattern)`; torchvision 0.28.0, torch 2.13.0, Pillow 12.3.0.
const torchvision: [number, number, number, [number, number], string][] = [
  [500, 375, 256, [224, 224], '7057d87a769744e3'],
  [375, 500, 256, [224, 224], '48db337942e64319'],
  [401, 300, 256, [227, 227], 'ce5d3c6861f4071a'], // the crop begins at a half, which Python rounds to even
  [100, 80, 32, [32, 32], '4768d01d695d4fa9'],
  [64, 48, 40, [33, 48], '0668de8db4451b1e'],
  [32, 32, 32, [32, 32], '89a181abfbd0d8d1'], // neither resized nor cropped
  [37, 90, 64, [96, 96], '6055195f41b5da89'], // padded left and right
  [37, 90, 64, [97, 99], '42e1b419c08eeee5'], // by unequal widths
  [201, 201, 300, [224, 225], 'f296478384f97190'],
  [1, 1, 256, [224, 224], 'b6b5e270cc3ba102'],
  [3, 1000, 256, [224, 224], '7813323c9cec7887'],
];

test.each(torchvision)(
  'torchvision, bit for bit: %i×%i, resize %i, crop %j',
  (width, height, resize, size, expected) => {
    const { tensor, dims } = preprocess(pattern(width, height), { ...imagenet, resize, size });
    expect(dims).toEqual([3, ...size]);
    expect(digest(tensor)).toBe(expected);
  },
);

test('torchvision, bit for bit: bicubic, stretched, grey, BGR in 0…255', () => {
  const bicubic = preprocess(pattern(500, 375), { ...imagenet, interpolation: 'pillow-bicubic' });
  expect(digest(bicubic.tensor)).toBe('c2afc22ad805d83a');
  const stretched = preprocess(pattern(300, 200), { ...imagenet, resize: undefined, resizeMode: 'stretch' });
  expect(digest(stretched.tensor)).toBe('da34624b6c36f61b'); // Resize((224, 224))
  const grey = preprocess(pattern(60, 50), {
    ...imagenet,
    channels: 'gray',
    size: [28, 28],
    resize: 28,
    mean: [0.449],
    std: [0.226],
  });
  expect(grey.dims).toEqual([1, 28, 28]);
  expect(digest(grey.tensor)).toBe('77f2d9609b4873f7'); // Grayscale first
  const caffe = preprocess(pattern(401, 300), {
    ...imagenet,
    size: [227, 227],
    channels: 'BGR',
    range: 255,
    mean: [104, 117, 123],
    std: [1, 1, 1],
  });
  expect(digest(caffe.tensor)).toBe('331ffe7682cc1504');
});

/** A picture in which red is the column and green the row. */
function ramp(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) data.set([i % width, Math.floor(i / width), 7], 3 * i);
  return { data, width, height, channels: 3 };
}
const plain: Preprocessing = { ...imagenet, range: 255, mean: [0, 0, 0], std: [1, 1, 1] };

describe('by value', () => {
  test('layouts and channel orders', () => {
    const p: Preprocessing = { ...plain, size: [2, 3], resize: undefined };
    const nchw = preprocess(ramp(3, 2), p);
    expect([...nchw.tensor]).toEqual([0, 1, 2, 0, 1, 2, 0, 0, 0, 1, 1, 1, 7, 7, 7, 7, 7, 7]);
    const nhwc = preprocess(ramp(3, 2), {
      ...p,
      layout: 'NHWC',
      channels: 'BGR',
      mean: [1, 2, 4],
      std: [2, 1, 1],
    });
    expect(nhwc.dims).toEqual([2, 3, 3]);
    expect([...nhwc.tensor]).toEqual([3, -2, -4, 3, -2, -3, 3, -2, -2, 3, -1, -4, 3, -1, -3, 3, -1, -2]);
  });

  test('torch-bilinear is not rounded to 8 bits', () => {
    const p: Preprocessing = { ...plain, interpolation: 'torch-bilinear', size: [4, 4], resize: undefined };
    const { tensor } = preprocess(ramp(2, 2), { ...p, range: 1 });
    // Half-pixel centres: columns at −¼, ¼, ¾, 1¼ → 0, ¼, ¾, 1; torch divides by 255 in float32.
    expect([...tensor.subarray(0, 4)]).toEqual([0, 0.25, 0.75, 1].map((value) => Math.fround(value / 255)));
    expect([...preprocess(ramp(2, 2), { ...p, layout: 'NHWC' }).tensor.subarray(0, 6)]).toEqual([
      0, 0, 7, 0.25, 0, 7,
    ]);
  });

  test('the tensor is written into a slice of a batch', () => {
    const p: Preprocessing = { ...plain, size: [2, 2], resize: undefined };
    const batch = new Float32Array(36).fill(-1);
    const { tensor } = preprocess(ramp(2, 2), p, batch.subarray(12, 24));
    expect(tensor.buffer).toBe(batch.buffer);
    expect([...batch.subarray(12, 16)]).toEqual([0, 1, 0, 1]);
    expect([...batch.subarray(0, 12), ...batch.subarray(24)]).toEqual(Array(24).fill(-1));
    expect(() => preprocess(ramp(2, 2), p, new Float32Array(11))).toThrow(
      '11 numbers do not fill dims [3, 2, 2]',
    );
  });

  test('the picture is not written', () => {
    const picture = pattern(40, 30);
    const before = picture.data.slice();
    preprocess(picture, { ...plain, size: [30, 40], resize: undefined });
    expect(picture.data).toEqual(before);
  });
});

describe('geometry: what the network sees, in the picture', () => {
  test.each<[string, number, number, Partial<Preprocessing>, number[]]>([
    [
      'crop of 224 from 341×256',
      500,
      375,
      {},
      [(58 * 500) / 341, (16 * 375) / 256, (224 * 500) / 341, (224 * 375) / 256],
    ],
    ['nothing to do', 224, 224, { resize: undefined }, [0, 0, 224, 224]],
    ['covered in width', 448, 224, { resize: undefined }, [112, 0, 224, 224]],
    ['covered in height, not square', 100, 400, { resize: undefined, size: [50, 100] }, [0, 175, 100, 50]],
    ['stretched', 500, 375, { resize: undefined, resizeMode: 'stretch' }, [0, 0, 500, 375]],
    ['stretched to 256 and cropped', 512, 768, { resizeMode: 'stretch' }, [32, 48, 448, 672]],
    ['padded', 64, 64, { resize: 32, size: [64, 48] }, [-16, -32, 96, 128]],
  ])('%s', (_, width, height, changes, [x, y, w, h]) => {
    const p = { ...plain, ...changes };
    const geometry = inputGeometry(width, height, p);
    expect(geometry.x).toBeCloseTo(x, 10);
    expect(geometry.y).toBeCloseTo(y, 10);
    expect(geometry.width).toBeCloseTo(w, 10);
    expect(geometry.height).toBeCloseTo(h, 10);
    expect(preprocess(pattern(width, height), p).geometry).toEqual(geometry);
  });

  test('a value of the input lies where the geometry says', () => {
    const p: Preprocessing = { ...plain, interpolation: 'torch-bilinear', size: [40, 30], resize: 48 };
    const { tensor, geometry } = preprocess(ramp(200, 150), p);
    for (const [row, column] of [
      [3, 5],
      [39, 29],
      [20, 0],
    ]) {
      const x = geometry.x + ((column + 0.5) / 30) * geometry.width;
      const y = geometry.y + ((row + 0.5) / 40) * geometry.height;
      expect(tensor[row * 30 + column]).toBeCloseTo(x - 0.5, 3); // the ramp's value at x is x − ½
      expect(tensor[1200 + row * 30 + column]).toBeCloseTo(y - 0.5, 3);
    }
  });
});

test.each(['pillow-bilinear', 'pillow-bicubic', 'torch-bilinear'] as const)(
  'what lies outside the part that is seen changes nothing: %s',
  (interpolation) => {
    for (const [width, height, size, resize] of [
      [320, 90, [40, 40], 46],
      [61, 143, [24, 32], undefined],
      [30, 20, [64, 64], 100], // enlarged
      [64, 64, [64, 48], 32], // padded
    ] as const) {
      const p: Preprocessing = { ...plain, interpolation, size, resize };
      const whole = pattern(width, height);
      const { x, y, width: across, height: down } = seenPart(width, height, p);
      const data = new Uint8Array(whole.data.length);
      for (let row = y; row < y + down; row++) {
        const [from, to] = [(row * width + x) * 3, (row * width + x + across) * 3];
        data.set(whole.data.subarray(from, to), from);
      }
      expect(preprocess({ ...whole, data }, p)).toEqual(preprocess(whole, p));
    }
    const wide = seenPart(320, 90, { ...plain, interpolation, size: [40, 40], resize: 46 });
    expect(wide.width).toBeLessThan(100);
  },
);

describe('cropToInput: the picture as the network sees it', () => {
  test('is the tensor before normalisation, RGB whatever the order', () => {
    for (const channels of ['RGB', 'BGR'] as const) {
      const p: Preprocessing = { ...plain, channels, layout: 'NHWC', size: [30, 40], resize: 44 };
      const { data, width, height } = cropToInput(pattern(90, 70), p);
      expect([width, height]).toEqual([40, 30]);
      const { tensor } = preprocess(pattern(90, 70), p);
      const rgb = channels === 'RGB' ? tensor : tensor.map((_, i) => tensor[i - (i % 3) + 2 - (i % 3)]);
      expect([...data]).toEqual([...rgb]);
    }
  });

  test('grey has three equal channels, torch-bilinear is rounded', () => {
    const grey = cropToInput(pattern(9, 9), { ...plain, channels: 'gray', size: [9, 9], resize: undefined });
    expect(digest(grey.data.filter((_, i) => i % 3 === 1))).toBe(
      digest(
        Uint8Array.from(
          preprocess(pattern(9, 9), {
            ...plain,
            channels: 'gray',
            size: [9, 9],
            resize: undefined,
            mean: [0],
            std: [1],
          }).tensor,
        ),
      ),
    );
    const p: Preprocessing = { ...plain, interpolation: 'torch-bilinear', size: [4, 4], resize: undefined };
    expect([...cropToInput(ramp(2, 2), p).data.subarray(0, 12)]).toEqual([
      0, 0, 7, 0, 0, 7, 1, 0, 7, 1, 0, 7,
    ]);
  });
});

describe('defaultPreprocessing', () => {
  test('reads layout, size and channels from the input dims, and says so', () => {
    const usual = defaultPreprocessing(['N', 3, 224, 224]);
    expect(usual.preprocessing).toEqual(imagenet);
    expect(usual.sentence).toBe(
      'Preprocessing assumed from the input dims [N, 3, 224, 224]: NCHW, RGB in 0…1, shorter edge to 256, centre crop 224×224, ImageNet mean and std. A sidecar file says otherwise (docs/preprocessing.md).',
    );
    expect(defaultPreprocessing([1, 299, 299, 3]).preprocessing).toMatchObject({
      layout: 'NHWC',
      size: [299, 299],
      resize: 342,
    });
    expect(defaultPreprocessing([null, 1, 28, 20]).preprocessing).toMatchObject({
      layout: 'NCHW',
      channels: 'gray',
      size: [28, 20],
      resize: undefined,
      mean: [0.449],
      std: [0.226],
    });
    const open = defaultPreprocessing(['N', 3, 'H', -1]);
    expect(open.preprocessing).toMatchObject({ size: [224, 224], resize: 256 });
    expect(open.sentence).toContain('H and W are not fixed: 224×224 assumed)');
    const line = defaultPreprocessing(['N', 3, 48, 'W']);
    expect(line.preprocessing).toMatchObject({ size: [48, 320], resizeMode: 'stretch', resize: undefined });
    expect(line.sentence).toContain(
      '(W is not fixed: 48×320 assumed, a line of text): NCHW, RGB in 0…1, stretched to 48×320,',
    );
    expect(defaultPreprocessing([1, 640, -1, 3]).preprocessing.size).toEqual([640, 640]);
    expect(defaultPreprocessing([1, 3, null, 96]).preprocessing.size).toEqual([96, 96]);
  });

  test('refuses dims that are no picture', () => {
    expect(() => defaultPreprocessing([1, 16])).toThrow("The model's input dims [1, 16] do not tell");
    expect(() => defaultPreprocessing([1, 3, 16, 112, 112])).toThrow('must be [N, 1 or 3, H, W]');
    expect(() => defaultPreprocessing([1, 4, 224, 224])).toThrow('pass preprocessed tensors as .npy');
  });
});
