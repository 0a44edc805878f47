import { describe, expect, it } from 'vitest';
import { baselineTensor, maskByMap, mergeByRank, offsetOf, positionOf } from '../../src/evaluate/masking.js';

const layouts = [
  {
    name: 'NCHW',
    layout: { channels: 2, positions: 4, run: 4 },
    tensor: [1, 2, 3, 4, 10, 20, 30, 40],
  },
  {
    name: 'NHWC',
    layout: { channels: 2, positions: 4, run: 1 },
    tensor: [1, 10, 2, 20, 3, 30, 4, 40],
  },
  {
    name: 'NTCHW, two frames of two positions',
    layout: { channels: 2, positions: 4, run: 2 },
    tensor: [1, 2, 10, 20, 3, 4, 30, 40],
  },
];
const size = [2, 2];
const black = [-1, -5];

describe.each(layouts)('masking in $name', ({ layout, tensor: values }) => {
  const tensor = Float32Array.from(values);
  /** [channel][position] whatever the layout. */
  const channels = (data: Float32Array) =>
    [0, 1].map((c) => [0, 1, 2, 3].map((p) => data[offsetOf(layout, p, c)]));
  const masked = (map: number[], baseline: 'zero' | 'black' | 'mean') => {
    const out = new Float32Array(8).fill(NaN);
    maskByMap(
      tensor,
      Float32Array.from(map),
      baselineTensor(baseline, tensor, layout, black, size),
      layout,
      out,
    );
    return channels(out);
  };

  it("multiplies the preprocessed tensor: the paper's E = L ⊙ I", () => {
    expect(masked([1, 0.5, 0, 0.25], 'zero')).toEqual([
      [1, 1, 0, 1],
      [10, 10, 0, 10],
    ]);
  });

  it('multiplies pixels: preprocessing L · pixel is the same as blending with black', () => {
    expect(masked([1, 0.5, 0, 0], 'black')).toEqual([
      [1, 0.5, -1, -1],
      [10, 7.5, -5, -5],
    ]);
  });

  it("falls back to the picture's mean colour", () => {
    expect(masked([0, 0, 1, 0], 'mean')).toEqual([
      [2.5, 2.5, 3, 2.5],
      [25, 25, 30, 25],
    ]);
  });

  it('keeps by rank', () => {
    const out = new Float32Array(8);
    mergeByRank(Uint32Array.from([3, 0, 2, 1]), 2, tensor, new Float32Array(8), layout, out);
    expect(channels(out)).toEqual([
      [0, 2, 0, 4],
      [0, 20, 0, 40],
    ]);
  });

  it('blurs each channel by itself and keeps a constant picture', () => {
    const flat = new Float32Array(8);
    for (const c of [0, 1]) for (const p of [0, 1, 2, 3]) flat[offsetOf(layout, p, c)] = c + 1;
    const blurred = baselineTensor('blur', flat, layout, black, layout.run === 2 ? [2, 1, 2] : size);
    blurred.forEach((value, i) => expect(value).toBeCloseTo(flat[i], 6));
  });

  it('knows where values lie, and what they are of', () => {
    expect(channels(tensor)).toEqual([
      [1, 2, 3, 4],
      [10, 20, 30, 40],
    ]);
    for (const p of [0, 1, 2, 3])
      for (const c of [0, 1]) expect(positionOf(layout, offsetOf(layout, p, c))).toBe(p);
  });
});

describe('blur', () => {
  it('is a Gaussian of σ 5 in 11 taps along both axes, edges clamped', () => {
    const [width, height] = [23, 25];
    const layout = { channels: 1, positions: width * height, run: width * height };
    const point = new Float32Array(width * height);
    point[12 * width + 11] = 1;
    const blurred = baselineTensor('blur', point, layout, [0], [height, width]);
    const weights = Array.from({ length: 11 }, (_, i) => Math.exp(-((i - 5) ** 2) / 50));
    const total = weights.reduce((a, b) => a + b, 0);
    for (const [dy, dx] of [
      [0, 0],
      [3, -2],
      [5, 5],
      [-5, 1],
    ])
      expect(blurred[(12 + dy) * width + 11 + dx]).toBeCloseTo(
        (weights[5 + dy] * weights[5 + dx]) / total ** 2,
        8,
      );
    expect(blurred[(12 + 6) * width + 11]).toBe(0);
    const corner = new Float32Array(width * height);
    corner[0] = 1;
    const tail = weights.slice(0, 6).reduce((a, b) => a + b, 0) / total;
    expect(baselineTensor('blur', corner, layout, [0], [height, width])[0]).toBeCloseTo(tail ** 2, 7);
  });

  it('treats the frames of a video separately', () => {
    const layout = { channels: 1, positions: 2 * 4, run: 8 };
    const video = Float32Array.from([1, 1, 1, 1, 0, 0, 0, 0]);
    const blurred = baselineTensor('blur', video, layout, [0], [2, 2, 2]);
    [1, 1, 1, 1, 0, 0, 0, 0].forEach((value, i) => expect(blurred[i]).toBeCloseTo(value, 6));
  });
});
