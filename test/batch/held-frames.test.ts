import { expect, test } from 'vitest';
import { HeldFrames } from '../../src/batch/held-frames.js';
import { drawnFrames } from '../clip/clips.js';

test('frames are freed once no later clip can have them, whichever clip they came with', () => {
  const all = drawnFrames(13);
  const held = new HeldFrames();
  const freed = () => all.flatMap(({ data }, t) => (data.length === 0 ? [t] : []));
  const add = (start: number) =>
    held.add({
      frames: [0, 2, 4, 6].map((t) => all[start + t]),
      image: { clip: { start, interval: 2, count: 4, span: 8 } },
    });
  add(0); // 0 2 4 6
  expect(freed()).toEqual([]);
  add(3); // 3 5 7 9: 6 comes again
  expect(freed()).toEqual([0, 2]);
  add(6); // 6 8 10 12
  expect(freed()).toEqual([0, 2, 3, 4, 5]);
  held.release();
  expect(freed()).toEqual([0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]);
});

test('a frame that stands for several is held until the last of them has passed', () => {
  const [first, second] = drawnFrames(2);
  const held = new HeldFrames();
  held.add({ frames: [first, first], image: { clip: { start: 0, interval: 1, count: 2, span: 2 } } });
  held.add({ frames: [first, second], image: { clip: { start: 2, interval: 1, count: 2, span: 2 } } });
  expect(first.data.length).toBeGreaterThan(0);
  held.add({ frames: [second], image: { clip: { start: 3, interval: 1, count: 1, span: 1 } } });
  expect([first.data.length, second.data.length > 0]).toEqual([0, true]);
});
