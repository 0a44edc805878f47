import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explainFolder, type RunOptions } from '../../src/batch/explain-folder.js';
import { encodeMember } from '../../src/batch/inputs/tar.js';
import { JoinedMaps } from '../../src/clip/joined-maps.js';
import { gif } from '../../src/clip/writers/gif.js';
import { parseNpy } from '../../src/image/npy.js';
import { clipNetwork, drawnFrames } from './clips.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-timeline-'));
const file = (...names: string[]) => join(folder, ...names);
afterAll(() => rmSync(folder, { recursive: true }));

test('maps of clips are joined frame by frame: means where they overlap, NaN where none is', () => {
  const joined = new JoinedMaps();
  const of = (values: readonly number[]) => ({ data: Float32Array.from(values), dims: [2, 1, 1] });
  const given = [
    ...joined.add({ start: 1, interval: 2, count: 2, span: 4 }, of([1, 2])), // 1 1 2 2
    ...joined.add({ start: 4, interval: 2, count: 2, span: 4 }, of([4, 6])), //       4 4 6 6
    ...joined.add({ start: 9, interval: 2, count: 1, span: 2 }, of([8, 9])), // 8 8, and its second frame is none
  ];
  expect(given.map(([value]) => value)).toEqual([NaN, 1, 1, 2, 3, 4, 6, 6, NaN]);
  expect(joined.finish().map(([value]) => value)).toEqual([8, 8]);
  expect(joined.size).toEqual([1, 1]);
});

describe('one .npy of a whole video', () => {
  beforeAll(async () => {
    writeFileSync(file('model.onnx'), clipNetwork());
    writeFileSync(file('long video.gif'), await gif.write(drawnFrames(13, 64, 48), { rate: 10 }));
    const member = encodeMember('long video.gif', readFileSync(file('long video.gif')));
    writeFileSync(file('videos.tar'), Buffer.concat([member, Buffer.alloc(1024)]));
  });
  const run = (out: string, more: Partial<RunOptions> = {}) =>
    explainFolder({
      model: file('model.onnx'),
      images: [file('long video.gif')],
      out: file(out),
      open: { frames: { stride: 2 } },
      explain: { targets: { top: 2 }, method: ['grad-cam++', 'grad-cam'] },
      outputs: { save: ['npy'], timeline: true },
      workforce: { workers: 0 },
      ...more,
    });
  const lines = (out: string) =>
    readFileSync(file(out, 'results.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  test('has the mean of the windows at each frame, for each target and method', async () => {
    expect(await run('out')).toMatchObject({ explained: 1, failed: 0 });
    const names = ['1.grad-cam++', '1.grad-cam', '2.grad-cam++', '2.grad-cam'].map(
      (own) => `long video.${own}.timeline.npy`,
    );
    const all = lines('out');
    expect(all.slice(0, 4).map(({ files }) => files.timeline)).toEqual(names);
    for (const [i, name] of names.entries()) {
      const joined = parseNpy(readFileSync(file('out', name)));
      expect(joined.dims).toEqual([13, 8, 8]);
      const windows = all.filter((_, line) => line % 4 === i);
      expect(windows).toHaveLength(6);
      for (let frame = 0; frame < 13; frame++) {
        const own = windows.flatMap(({ image: { clip }, files }) => {
          const t = frame - clip.start;
          if (t < 0 || t >= clip.count) return [];
          const map = parseNpy(readFileSync(file('out', files.npy))).data as Float32Array;
          return [map.subarray(t * 64, (t + 1) * 64)];
        });
        for (let p = 0; p < 64; p++) {
          const mean = own.reduce((sum, map) => sum + map[p], 0) / own.length;
          expect((joined.data as Float32Array)[frame * 64 + p]).toBeCloseTo(mean, 6);
        }
      }
    }
  });

  test.each([
    { stride: 3, interval: 3 }, // 0 3 6 9 and 3 6 9 12, which stands for one frame instead of three
    { stride: 6, interval: 2 }, // 6 8 10 12
    { stride: 8, interval: 2 }, // 8 10 12, of four
    { clips: 2, interval: 3 }, // 0 3 6 9 and 3 6 9 12
    { clips: 3, interval: 4 }, // 0 4 8 12, three times
  ])('ends with the video, frames %j', async (frames) => {
    const out = `end of ${JSON.stringify(frames).replaceAll(/\W+/g, ' ')}`;
    expect(await run(out, { open: { frames } })).toMatchObject({ explained: 1, failed: 0 });
    const { dims, data } = parseNpy(readFileSync(file(out, 'long video.1.grad-cam++.timeline.npy')));
    expect(dims).toEqual([13, 8, 8]);
    expect((data as Float32Array).every((value) => value >= 0)).toBe(true);
    const ends = lines(out).map(({ image: { clip } }) => clip.start + clip.span);
    expect(Math.max(...ends)).toBe(13);
  });

  test('goes into the archive of results, and is missed where it is lost', async () => {
    await run('archived', { images: [], archives: [file('videos.tar')] });
    const tar = readFileSync(file('archived', 'videos.tar'));
    const whole = readFileSync(file('out', 'long video.1.grad-cam++.timeline.npy'));
    expect(tar.includes(whole)).toBe(true);
    await run('lost');
    rmSync(file('lost', 'long video.1.grad-cam.timeline.npy'));
    await expect(run('lost', { resume: true })).rejects.toThrow(
      '"long video.1.grad-cam.timeline.npy" is missing',
    );
    await run('lost', { overwrite: true });
    expect(readFileSync(file('lost', 'long video.1.grad-cam++.timeline.npy'))).toEqual(whole);
    expect(readdirSync(file('lost')).filter((name) => name.includes('timeline'))).toHaveLength(4);
  });

  test('is refused where a video is one clip', async () => {
    const frames = { count: 4 };
    await expect(run('none', { open: { frames } })).rejects.toThrow('--frames stride=16');
  });
});
