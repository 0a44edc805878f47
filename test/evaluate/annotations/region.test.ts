import { describe, expect, it } from 'vitest';
import { relativeBox, sizeOfPixels } from '../../../src/evaluate/annotations/annotation.js';
import { boxInInput, regionOfBoxes, regionOfMask } from '../../../src/evaluate/annotations/region.js';

describe('from the picture to the network input', () => {
  // 200 × 100 picture, the middle 100 × 100 shown at 50 × 50.
  const geometry = {
    picture: { width: 200, height: 100 },
    crop: { x: 50, y: 0, width: 100, height: 100 },
    input: { width: 50, height: 50 },
  };

  it('maps boxes and cuts them to the crop', () => {
    expect(boxInInput({ x0: 0.5, y0: 0.2, x1: 0.6, y1: 0.4 }, geometry)).toEqual({
      x0: 25,
      y0: 10,
      x1: 35,
      y1: 20,
    });
    expect(boxInInput({ x0: 0, y0: 0, x1: 1, y1: 1 }, geometry)).toEqual({ x0: 0, y0: 0, x1: 50, y1: 50 });
    expect(boxInInput({ x0: 0, y0: 0, x1: 0.25, y1: 1 }, geometry)).toBeUndefined();
  });

  it('marks the pixels whose centre is inside, and never loses a small box', () => {
    const region = (x0: number, y0: number, x1: number, y1: number) => [
      ...regionOfBoxes([{ x0, y0, x1, y1 }], 3, 2),
    ];
    expect(region(0.5, 0, 2.5, 2)).toEqual([1, 1, 0, 1, 1, 0]);
    expect(region(0.6, 0.6, 3, 2)).toEqual([0, 0, 0, 0, 1, 1]);
    expect(region(2.6, 0.1, 2.9, 0.2)).toEqual([0, 0, 1, 0, 0, 0]);
    expect(region(2.9, 1.9, 3, 2)).toEqual([0, 0, 0, 0, 0, 1]);
    const two = regionOfBoxes(
      [
        { x0: 0, y0: 0, x1: 2, y1: 1 },
        { x0: 1, y0: 0, x1: 3, y1: 1 },
      ],
      3,
      2,
    );
    expect([...two]).toEqual([1, 1, 1, 0, 0, 0]);
  });

  it('sees masks of any size through the crop', () => {
    // A mask of 4 × 2 over the same picture: its column 2 is the picture's 100 … 150, the input's 25 … 50.
    const mask = { data: Uint8Array.from([0, 0, 255, 0, 0, 0, 0, 0]), width: 4, height: 2 };
    const inside = regionOfMask(mask, geometry);
    const expected = Uint8Array.from({ length: 2500 }, (_, p) => (p % 50 >= 25 && p < 1250 ? 1 : 0));
    expect(inside).toEqual(expected);
  });
});

describe('the size that pixels are of', () => {
  const picture = { width: 400, height: 300 };

  it.each([
    ['none is declared', undefined, picture, 'none declared'],
    ['the same is', { width: 400, height: 300 }, picture, undefined],
    ['the picture was saved smaller', { width: 640, height: 480 }, { width: 640, height: 480 }, 'scaled'],
    ['so, with rounded edges', { width: 1023, height: 767 }, { width: 1023, height: 767 }, 'scaled'],
    ['width and height are the other way round', { width: 300, height: 400 }, picture, 'another declared'],
    ['something else is', { width: 500, height: 375.9 * 2 }, picture, 'another declared'],
  ])('is right where %s', (_, declared, size, remark) => {
    expect(sizeOfPixels(declared, picture)).toEqual({ size, ...(remark ? { remark } : {}) });
  });

  const object = (x0: number, y0: number, x1: number, y1: number, unit: 'pixel' | 'fraction' = 'pixel') => ({
    class: 'thing',
    box: { x0, y0, x1, y1 },
    unit,
    place: 'a.txt:3',
  });

  it('cuts boxes to the picture, and refuses those that are not in it', () => {
    expect(relativeBox(object(-5, 0, 200, 150), picture)).toEqual({ x0: 0, y0: 0, x1: 0.5, y1: 0.5 });
    expect(relativeBox(object(0.5, 0, 1.004, 1, 'fraction'), picture)).toEqual({
      x0: 0.5,
      y0: 0,
      x1: 1,
      y1: 1,
    });
    expect(() => relativeBox(object(400, 10, 450, 20), picture)).toThrow(
      'a.txt:3 must mark a part of the picture, 400 × 300 pixels; received the box 400, 10, 450, 20.',
    );
    expect(() => relativeBox(object(0.5, 0.5, 0.5, 0.7, 'fraction'), picture)).toThrow(
      'the box 0.5, 0.5, 0.5, 0.7',
    );
  });
});
