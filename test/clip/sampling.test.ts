import { expect, test } from 'vitest';
import { selection } from '../../src/clip/ffmpeg.js';
import { planSampling } from '../../src/clip/sampling.js';

/** First frames of the clips up to the end of a video, and how far apart frames are. */
function plan(sampling: Parameters<typeof planSampling>[0], total: number) {
  const { startOf, interval } = planSampling(sampling, total);
  const starts: number[] = [];
  for (let n = 0; n < 10; n++) {
    const start = startOf(n);
    if (start === undefined || start >= total) break;
    starts.push(start);
  }
  return { starts, interval };
}

test('one clip is spread over the middle of the video', () => {
  expect(plan({ count: 16 }, 250)).toEqual({ starts: [12], interval: 15 }); // 12, 27, … 237
  expect(plan({ count: 16, interval: 2 }, 250)).toEqual({ starts: [110], interval: 2 }); // 110 … 140
  expect(plan({ count: 4 }, 4)).toEqual({ starts: [0], interval: 1 });
});

test('several clips lie in the middle of equal parts, and within the video', () => {
  expect(plan({ count: 4, clips: 3 }, 99)).toEqual({ starts: [4, 37, 70], interval: 8 });
  expect(plan({ count: 16, interval: 4, clips: 2 }, 64)).toEqual({ starts: [0, 3], interval: 4 }); // span 61
});

test('a video that is shorter than its clip begins with it', () => {
  expect(plan({ count: 16 }, 5)).toEqual({ starts: [0], interval: 1 });
  expect(plan({ count: 16, interval: 3, clips: 2 }, 20).starts).toEqual([0]);
});

test('a window slides by its stride', () => {
  expect(plan({ count: 4, stride: 4 }, 18)).toEqual({ starts: [0, 4, 8, 12, 16], interval: 1 });
  expect(plan({ count: 4, stride: 3, interval: 2 }, 10)).toEqual({ starts: [0, 3, 6, 9], interval: 2 });
});

test.each<Parameters<typeof planSampling>[0]>([
  { count: 4 },
  { count: 4, clips: 3, interval: 2 },
  { count: 16, clips: 7 },
  { count: 4, stride: 4 },
  { count: 4, stride: 6 },
  { count: 5, stride: 3, interval: 4 },
  { count: 3, stride: 20, interval: 2 },
])('ffmpeg selects the frames that some clip holds, and no others: %o', (sampling) => {
  const total = 100;
  const { startOf, interval, count, frames } = planSampling(sampling, total);
  const held = new Set<number>();
  for (let n = 0, start = startOf(0); start !== undefined && start < total; start = startOf(++n))
    for (let t = 0; t < count; t++) held.add(start + t * interval);
  const names = ['between', 'not', 'mod', 'gte', 'lt'];
  const functions = [
    (x: number, a: number, b: number) => Number(x >= a && x <= b),
    (x: number) => Number(x === 0),
    (x: number, y: number) => x % y,
    (x: number, y: number) => Number(x >= y),
    (x: number, y: number) => Number(x < y),
  ];
  const expression = selection(frames) ?? '1';
  const selects = new Function(...names, 'n', `return ${expression}`);
  for (let n = 0; n < total; n++) expect([n, selects(...functions, n) > 0]).toEqual([n, held.has(n)]);
});
