import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClipInput, ClipPreprocessing } from '../../src/clip/clip.js';
import { picturesIn } from '../../src/clip/ppm.js';
import { type ReadClip, readClips } from '../../src/clip/read-clips.js';
import { clipWriters } from '../../src/clip/writers/index.js';
import { decodeImage } from '../../src/image/decode.js';
import { encodePng } from '../../src/image/encode.js';
import type { FrameSampling } from '../../src/image/frame-sampling.js';
import { drawnFrame, drawnFrames, ffmpeg, ffmpegNote, hasFfmpeg, lossless } from './clips.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-clips-'));
const file = (name: string) => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

function preprocessing(
  sampling: FrameSampling = {},
  layout: ClipPreprocessing['layout'] = 'NTHWC',
): ClipPreprocessing {
  return {
    layout,
    sampling: { count: 4, ...sampling },
    frame: {
      layout: layout === 'NTHWC' ? 'NHWC' : 'NCHW',
      size: [12, 20],
      resizeMode: 'shorter-edge',
      interpolation: 'pillow-bilinear',
      channels: 'RGB',
      range: 255,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    },
  };
}

type WithFrames = ReadClip & Required<Pick<ReadClip, 'frames'>>;

async function read(input: ClipInput, ...args: Parameters<typeof preprocessing>): Promise<WithFrames[]> {
  const clips: WithFrames[] = [];
  for await (const clip of readClips(input, preprocessing(...args))) clips.push(clip as WithFrames);
  return clips;
}

/** Which drawn frame each frame of each clip is: red says it. */
const numbers = (clips: readonly WithFrames[]) =>
  clips.map(({ frames }) => frames.map(({ data }) => data[0]));
/** The same of what the network is given, where it is pixels in their own places. */
const fed = ({ tensor }: ReadClip) => [0, 1, 2, 3].map((t) => tensor[t * 12 * 20 * 3]);

const problem = (input: ClipInput, sampling?: FrameSampling) =>
  read(input, sampling).then(
    () => 'none',
    (error: Error) => error.message.replace(folder, ''),
  );

describe('frames that are pictures', () => {
  const frames = drawnFrames(10);

  test('are taken as the sampling says, and laid out as the network has them', async () => {
    const [clip, ...more] = await read({ frames, rate: 5 });
    expect(more).toEqual([]);
    expect(clip.clip).toEqual({ start: 2, interval: 2, count: 4, span: 8, rate: 5 });
    expect(numbers([clip])).toEqual([[2, 4, 6, 8]]);
    expect(clip.geometry).toEqual({ x: 0, y: 0, width: 20, height: 12 });
    const layouts = { NTHWC: [4, 12, 20, 3], NTCHW: [4, 3, 12, 20], NCTHW: [3, 4, 12, 20] } as const;
    for (const [layout, dims] of Object.entries(layouts)) {
      const [own] = await read({ frames }, {}, layout as ClipPreprocessing['layout']);
      expect(own.dims).toEqual(dims);
      const [t, c, y, x] = [2, 1, 5, 17]; // green of frame 6, beside the square
      const place = { T: t, C: c, H: y, W: x };
      const index = layout
        .slice(1)
        .split('')
        .reduce((at, axis, i) => at * dims[i] + place[axis as keyof typeof place], 0);
      expect(own.tensor[index]).toBe((x * 9) % 200);
    }
  });

  test('a window slides, its frames shared; the rest of half a clip is filled with the last frame', async () => {
    const clips = await read({ frames }, { stride: 2 });
    expect(numbers(clips)).toEqual([
      [0, 1, 2, 3],
      [2, 3, 4, 5],
      [4, 5, 6, 7],
      [6, 7, 8, 9],
      [8, 9],
    ]);
    expect(clips.map(fed).at(-1)).toEqual([8, 9, 9, 9]);
    expect(clips.map(({ clip }) => clip.number)).toEqual([0, 1, 2, 3, 4]);
    expect(numbers(await read({ frames }, { stride: 3 }))).toEqual([
      [0, 1, 2, 3],
      [3, 4, 5, 6],
      [6, 7, 8, 9],
    ]);
  });

  test('too few of them are filled with the last', async () => {
    const [clip] = await read({ frames: frames.slice(0, 3) });
    expect(clip.clip.count).toBe(3);
    expect(fed(clip)).toEqual([0, 1, 2, 2]);
  });

  test('in a folder, in natural order', async () => {
    mkdirSync(file('frames'));
    frames.forEach((frame, t) => writeFileSync(join(file('frames'), `f${t}.png`), encodePng(frame)));
    frames.forEach((_, t) => writeFileSync(join(file('frames'), `f${t}.txt`), ''));
    expect(numbers(await read(file('frames'), { clips: 2, interval: 1 }))).toEqual([
      [1, 2, 3, 4],
      [6, 7, 8, 9],
    ]);
  });

  test('of different sizes, none, one, or a still picture are refused', async () => {
    expect(
      await problem({ frames: [drawnFrame(0), drawnFrame(1), drawnFrame(2), drawnFrame(3, 8, 8)] }),
    ).toBe(
      'The picture cannot be read as a clip: its frames must be of one size: the first has 20 × 12 pixels, frame 3 has 8 × 8.',
    );
    expect(await problem({ frames: [] })).toContain('it holds no pictures');
    expect(await problem({ frames: [drawnFrame(0)] })).toContain(
      'it holds one picture, and a clip has several',
    );
    writeFileSync(file('one.png'), encodePng(drawnFrame(0)));
    expect(await problem(file('one.png'))).toContain('it is one picture, and the model takes clips');
    writeFileSync(file('text.mp4'), 'no video');
    expect(await problem(file('text.mp4'))).toContain('it does not begin like a video');
    writeFileSync(file('empty.mp4'), '');
    expect(await problem(file('empty.mp4'))).toContain('it is empty');
    expect(await problem(file('nowhere.mp4'))).toContain('there is no such file');
  });
});

describe('animations', () => {
  test('webp: frames that are alike, which its writer joins, are as many as were shown', async () => {
    const frames = [0, 0, 0, 1, 2, 2, 2, 3].map((t) => drawnFrame(t));
    const bytes = await clipWriters.webp.write(frames, { rate: 10 });
    expect((await decodeImage(bytes)).frames).toBe(4);
    const [clip] = await read(bytes, { count: 8, interval: 1 });
    expect(clip.clip).toMatchObject({ start: 0, interval: 1, count: 8 });
    expect(clip.clip.rate).toBeCloseTo(10, 5);
    const same = clip.frames.map(
      ({ data }, t) => t > 0 && Buffer.compare(data, clip.frames[t - 1].data) === 0,
    );
    expect(same).toEqual([false, true, true, false, false, true, true, false]);
    const [fast] = await read(bytes, { rate: 20, count: 16, interval: 1 });
    expect(new Set(fast.frames.slice(0, 6).map(({ data }) => data)).size).toBe(1);
    expect(fast.frames[6].data).not.toEqual(fast.frames[0].data);
  });

  test.each(['gif', 'webp'] as const)('%s: every frame in its turn, at its rate', async (format) => {
    const frames = drawnFrames(10);
    const bytes = await clipWriters[format].write(frames, { rate: 10 });
    const [clip] = await read(bytes, { interval: 2 });
    expect(clip.clip).toEqual({ start: 2, interval: 2, count: 4, span: 8, rate: 10 });
    const most = format === 'gif' ? 12 : 20; // GIF has 256 colours, and this WebP loses
    clip.frames.forEach(({ data }, i) => {
      const drawn = drawnFrame(2 + 2 * i).data;
      const mean = data.reduce((sum, value, p) => sum + Math.abs(value - drawn[p]), 0) / data.length;
      expect(mean).toBeLessThan(most);
    });
    const [slow] = await read(bytes, { rate: 5, interval: 1 });
    expect(slow.clip).toEqual({ start: 1, interval: 1, count: 4, span: 4, rate: 5 });
    expect(await problem(bytes.subarray(0, bytes.length / 2))).toContain('the file ends too early');
  });
});

test('pictures in a stream, whatever pieces it comes in', async () => {
  const two = Buffer.concat([Buffer.from('P6\n1 1\n255\nabcP6\n2 1\n255\n'), Buffer.from('defghi')]);
  for (const size of [1, 3, 7, 100]) {
    const pieces = (async function* () {
      for (let at = 0; at < two.length; at += size) yield two.subarray(at, at + size);
    })();
    const found: string[] = [];
    for await (const frame of picturesIn(pieces, (index) => index === 1))
      found.push(frame ? `${frame.width}x${frame.height} ${Buffer.from(frame.data)}` : '-');
    expect(found).toEqual(['-', '2x1 defghi']);
  }
});

test('parts of larger pictures in a stream stand in their place', async () => {
  const stream = Buffer.concat([Buffer.from('P6\n1 2\n255\nabcdefP6\n1 2\n255\nghijklP6\n2 1\n255\nmnopqr')]);
  for (const size of [1, 4, 100]) {
    const pieces = (async function* () {
      for (let at = 0; at < stream.length; at += size) yield stream.subarray(at, at + size);
    })();
    const whole = { width: 3, height: 2, part: { x: 1, y: 0, width: 1, height: 2 } };
    const found: string[] = [];
    for await (const frame of picturesIn(pieces, (index) => index !== 1, whole))
      found.push(frame ? `${frame.width}x${frame.height} ${Buffer.from(frame.data)}` : '-');
    expect(found).toEqual(['3x2 \0\0\0abc\0\0\0\0\0\0def\0\0\0', '-', '2x1 mnopqr']);
  }
});

describe.skipIf(!hasFfmpeg)(`videos${ffmpegNote}`, () => {
  beforeAll(() => {
    ffmpeg(
      [
        '-f',
        'lavfi',
        '-i',
        'sine=duration=4',
        '-map',
        '0:v',
        '-map',
        '1:a',
        ...lossless,
        '-c:a',
        'aac',
        file('video.mp4'),
      ],
      drawnFrames(40),
    );
  });

  test.each(['video.mp4', 'video.mov', 'video.mkv', 'video.avi'])(
    '%s: the frames that are asked for, to the pixel',
    async (name) => {
      if (name === 'video.avi') ffmpeg(['-c:v', 'ffv1', file(name)], drawnFrames(40));
      else if (name !== 'video.mp4') ffmpeg(['-i', file('video.mp4'), '-c', 'copy', file(name)]);
      const clips = await read(file(name), { stride: 8, interval: 2 });
      expect(numbers(clips)).toEqual([0, 8, 16, 24, 32].map((start) => [0, 2, 4, 6].map((t) => start + t)));
      expect(clips[1].clip).toEqual({ number: 1, start: 8, interval: 2, count: 4, span: 8, rate: 10 });
      expect(clips[2].frames[1]).toEqual(drawnFrame(18));
      expect(numbers(await read(file(name), { rate: 5, stride: 16 }))[0]).toEqual([0, 2, 4, 6]);
    },
  );

  test('webm, 10 bits, an odd size; as bytes; without a duration', async () => {
    ffmpeg(
      ['-pix_fmt', 'yuv420p', '-c:v', 'libvpx', '-b:v', '1M', '-f', 'webm', file('odd.webm')],
      drawnFrames(20, 21, 13),
    );
    const [odd] = await read(file('odd.webm'));
    expect([odd.frames[0].width, odd.frames[0].height, odd.frames.length]).toEqual([21, 13, 4]);
    ffmpeg(['-pix_fmt', 'yuv420p10le', '-c:v', 'libx264', file('ten.mp4')], drawnFrames(20));
    expect(numbers(await read(file('ten.mp4')))[0]).toHaveLength(4);
    ffmpeg(
      ['-c:v', 'libx264rgb', '-qp', '0', '-f', 'matroska', '-live', '1', file('live.mkv')],
      drawnFrames(20),
    );
    expect(numbers(await read(file('live.mkv')))).toEqual([[2, 7, 12, 17]]);
    expect(numbers(await read(readFileSync(file('video.mp4'))))).toEqual([[5, 15, 25, 35]]);
    ffmpeg(['-plays', '0', '-f', 'apng', file('moving.png')], drawnFrames(20));
    expect(numbers(await read(file('moving.png')))).toEqual([[2, 7, 12, 17]]);
  });

  test.each(['pillow-bilinear', 'pillow-bicubic', 'torch-bilinear'] as const)(
    'without their frames the same clips: %s',
    async (interpolation) => {
      const frames = drawnFrames(20, 64, 36);
      ffmpeg([...lossless, file('wide.mp4')], frames);
      for (const sampling of [{ stride: 4 }, { stride: 3, interval: 2 }, { clips: 2 }]) {
        const { frame, ...rest } = preprocessing(sampling, 'NCTHW');
        const own = { ...rest, frame: { ...frame, size: [8, 8], resize: 9, interpolation } as const };
        const all = async (options: { frames: boolean }) => {
          const clips: ReadClip[] = [];
          for await (const clip of readClips(file('wide.mp4'), own, options)) clips.push(clip);
          return clips;
        };
        const [bare, whole] = [await all({ frames: false }), await all({ frames: true })];
        expect(whole[0].frames?.[0]).toEqual(frames[whole[0].clip.start]);
        expect(bare.some(({ frames: kept }) => kept)).toBe(false);
        expect(bare).toEqual(whole.map(({ frames: _, ...clip }) => clip));
      }
    },
  );

  test('one that changes its size on its way keeps the first, whatever is looked at of its frames', async () => {
    const half = (name: string, width: number) =>
      ffmpeg(
        ['-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-f', 'mpegts', file(name)],
        drawnFrames(20, width, 32),
      );
    half('1.ts', 64);
    half('2.ts', 48);
    ffmpeg(['-i', `concat:${file('1.ts')}|${file('2.ts')}`, '-c', 'copy', file('changing.mkv')]);
    const own = preprocessing({ stride: 4 });
    const seen = { ...own, frame: { ...own.frame, size: [8, 8], resize: 9 } as const };
    const all = async (frames: boolean) => {
      const clips: ReadClip[] = [];
      for await (const clip of readClips(file('changing.mkv'), seen, { frames })) clips.push(clip);
      return clips;
    };
    const [bare, whole] = [await all(false), await all(true)];
    expect(whole.flatMap(({ frames = [] }) => frames.filter(({ width }) => width !== 64))).toEqual([]);
    expect(whole[7].frameSize).toEqual({ width: 64, height: 32 });
    expect(bare.map(({ tensor }) => tensor)).toEqual(whole.map(({ tensor }) => tensor));
  });

  test('one that is turned is upright', async () => {
    ffmpeg(['-i', file('video.mp4'), '-c', 'copy', '-metadata:s:v', 'rotate=90', file('turned.mp4')]);
    const [{ frames }] = await read(file('turned.mp4'));
    expect([frames[0].width, frames[0].height]).toEqual([12, 20]);
  });

  test('a variable rate is read at its mean, and the whole of it', async () => {
    const thinned = "select='lt(n,20)+not(mod(n,4))'"; // the second half has a quarter of its frames
    ffmpeg([
      '-i',
      file('video.mp4'),
      '-vf',
      thinned,
      '-an',
      '-vsync',
      'vfr',
      ...lossless,
      file('variable.mkv'),
    ]);
    const [first, last] = numbers(await read(file('variable.mkv'), { clips: 2 }));
    expect(first[0]).toBeLessThan(6);
    expect(last[3]).toBeGreaterThan(30);
  });

  test('cut off, without frames, too large: a sentence each', async () => {
    ffmpeg(['-i', file('video.mp4'), '-c', 'copy', '-movflags', '+faststart', file('cut.mp4')]);
    truncateSync(file('cut.mp4'), statSync(file('cut.mp4')).size / 2);
    expect(await problem(file('cut.mp4'))).toMatch(
      /^"\/cut.mp4" cannot be read as a clip: the file ends too early: \d+ of 40 frames are in it\.$/,
    );
    writeFileSync(file('headless.mp4'), readFileSync(file('video.mp4')).subarray(0, 5000));
    expect(await problem(file('headless.mp4'))).toContain('the file ends too early, or holds no video');
    ffmpeg(['-i', file('video.mp4'), '-vn', '-c', 'copy', file('sound.mp4')]);
    expect(await problem(file('sound.mp4'))).toContain('it holds no frames');
    ffmpeg([
      '-f',
      'lavfi',
      '-i',
      'color=size=2000x2000:rate=1:duration=2',
      '-c:v',
      'ffv1',
      file('large.mkv'),
    ]);
    expect(await problem(file('large.mkv'), { count: 100 })).toBe(
      '"/large.mkv" cannot be read as a clip: 100 frames of 2000 × 2000 have 400000000 pixels, and a clip has at most 200000000; make the video smaller first.',
    );
  });
});

test('frames of more pixels than are allowed are refused, whatever they come in', async () => {
  const frames = drawnFrames(4);
  const gif = await clipWriters.gif.write(frames, { rate: 5 });
  if (hasFfmpeg) ffmpeg([...lossless, file('small.mp4')], frames);
  for (const input of [
    { frames: frames.map((frame) => encodePng(frame)) },
    gif,
    hasFfmpeg ? file('small.mp4') : gif,
  ])
    await expect(readClips(input, preprocessing(), { maxPixels: 200 }).next()).rejects.toThrow(
      'maxPixels is 200',
    );
});

test('without ffmpeg it is named', async () => {
  const { PATH } = process.env;
  process.env.PATH = folder;
  try {
    writeFileSync(file('some.webm'), '\x1a\x45\xdf\xa3 …', 'latin1');
    expect(await problem(file('some.webm'))).toMatch(
      /videos are decoded by ffmpeg, and no commands "ffmpeg" and "ffprobe" are in PATH/,
    );
  } finally {
    process.env.PATH = PATH;
  }
});
