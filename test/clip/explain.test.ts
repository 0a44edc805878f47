import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explainFolder, type RunOptions } from '../../src/batch/explain-folder.js';
import { Explainer } from '../../src/batch/explainer.js';
import { archiveEnd, encodeMember } from '../../src/batch/inputs/tar.js';
import { contactSheet } from '../../src/clip/sheet.js';
import { clipWriters } from '../../src/clip/writers/index.js';
import { decodeImage } from '../../src/image/decode.js';
import { encodeImage, encodePng } from '../../src/image/encode.js';
import { clipLayouts } from '../../src/image/frame-sampling.js';
import { parseNpy, readNpy } from '../../src/image/npy.js';
import type { Tensor } from '../../src/tensor.js';
import { linesIn, root } from '../batch/inputs.js';
import { furthest } from '../methods/oracle.js';
import { clipNetwork, drawnFrame, drawnFrames, ffmpeg, ffmpegNote, hasFfmpeg, lossless } from './clips.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-explain-clips-'));
const file = (name: string) => join(folder, name);
const model = file('model.onnx');
afterAll(() => [folder, root].forEach((path) => rmSync(path, { recursive: true })));

beforeAll(() => {
  writeFileSync(model, clipNetwork());
  mkdirSync(file('walk/first.take'), { recursive: true });
  mkdirSync(file('walk/second'));
  for (const [t, frame] of drawnFrames(8).entries()) {
    writeFileSync(file(`walk/first.take/${t}.png`), encodePng(frame));
    writeFileSync(file(`walk/second/${t}.png`), encodePng(drawnFrame(t + 5)));
  }
});

let runs = 0;
async function run(images: readonly string[], options: Omit<RunOptions, 'model' | 'images'> = {}) {
  const out = options.out ?? file(`out-${runs++}`);
  const workforce = { workers: 0 };
  const summary = await explainFolder({ model, images, workforce, ...options, out });
  if (summary.error) throw summary.error;
  return { out, summary, lines: linesIn(out) };
}

describe('a clip', () => {
  test('has the same map in every layout, and a map of its own for every frame', async () => {
    const maps: Float32Array[] = [];
    for (const layout of clipLayouts) {
      await using explainer = await Explainer.open(clipNetwork(layout), { backend: 'reference' });
      const [{ targets, frames, image }] = await explainer.explain(
        { frames: drawnFrames(8), rate: 5 },
        { targets: 2 },
      );
      expect(explainer.clips?.layout).toBe(layout);
      expect(targets[0].map.dims).toEqual([4, 8, 8]);
      expect(image.clip).toEqual({ start: 1, interval: 2, count: 4, span: 7, rate: 5 });
      expect(frames?.map(({ data }) => data[0])).toEqual([1, 3, 5, 7]);
      const facts = targets[0].map.frames ?? [];
      expect(facts.reduce((sum, { energy }) => sum + energy, 0)).toBeCloseTo(1, 5);
      maps.push(targets[0].map.data);
    }
    expect(maps[1]).toEqual(maps[0]);
    expect(maps[2]).toEqual(maps[0]);
    const parts = [0, 1, 2, 3].map((t) => [...maps[0].subarray(t * 64, (t + 1) * 64)].join());
    expect(new Set(parts).size).toBe(4);
  });

  test('is its tensor: maps of frames and of what they became are equal', async () => {
    const preprocess = { input: { layout: 'NCTHW', size: [8, 8], resizeMode: 'stretch' } };
    await using explainer = await Explainer.open(model, { preprocess, backend: 'reference' });
    const frames = Array.from({ length: 4 }, (_, t) => drawnFrame(t, 8, 8));
    const data = new Float32Array(3 * 4 * 64);
    for (const [t, { data: pixels }] of frames.entries())
      for (let c = 0; c < 3; c++)
        for (let i = 0; i < 64; i++) data[(c * 4 + t) * 64 + i] = Math.fround(pixels[3 * i + c] / 255);
    const [clip] = await explainer.explain({ frames });
    const [tensor] = await explainer.explain({ type: 'float32', dims: [3, 4, 8, 8], data });
    expect(clip.targets[0].map.data).toEqual(tensor.targets[0].map.data);
  });

  test('of frames can be one of a stream; what is none is refused in one sentence', async () => {
    await using explainer = await Explainer.open(model, { backend: 'reference' });
    const frames = drawnFrames(4);
    const [alone] = await explainer.explain({ frames });
    const found: unknown[] = [];
    for await (const { explanation, error } of explainer.explainAll(
      [{ frames }, { frames: 'none' } as never],
      { workers: 0 },
    ))
      found.push(error ? error.code : explanation?.targets[0].map.data);
    expect(found).toEqual([alone.targets[0].map.data, 'INVALID_IMAGE']);
    for (const bad of [{ frames, rate: 0 }, { frames: 3 }, null, drawnFrames(1)[0]])
      await expect(explainer.explain(bad as never)).rejects.toThrow(
        /^The model takes clips: give the path or bytes of a video/,
      );
  });

  test('boxes of a frame are bounded by the whole clip’s maximum', async () => {
    await using explainer = await Explainer.open(model, { backend: 'reference' });
    const [{ targets }] = await explainer.explain({ frames: drawnFrames(4) }, { threshold: 0.9 });
    const { data, frames = [] } = targets[0].map;
    frames.forEach(({ bounds }, t) => {
      const salient = data.subarray(t * 64, (t + 1) * 64).filter((value) => value >= 0.9 * Math.max(...data));
      expect(bounds.reduce((sum, { area }) => sum + area, 0)).toBe(salient.length);
    });
    expect(frames.some(({ bounds }) => bounds.length === 0)).toBe(true);
  });
});

test('a layer of one step along time says that frames have one map, and names a finer one', async () => {
  const { bytesFrom, weights } = await import('../support/network.js');
  const network = bytesFrom({
    inputs: { clip: ['N', 3, 4, 8, 8] },
    outputs: ['logits'],
    nodes: [
      ['Conv', ['clip', 'w1'], ['conv1'], { pads: [1, 1, 1, 1, 1, 1], strides: [2, 1, 1] }],
      ['Relu', ['conv1'], ['relu1']],
      ['Conv', ['relu1', 'w2'], ['conv2'], { pads: [0, 1, 1, 0, 1, 1] }],
      ['Relu', ['conv2'], ['relu2']],
      ['GlobalAveragePool', ['relu2'], ['pooled']],
      ['Flatten', ['pooled'], ['flat']],
      ['Gemm', ['flat', 'w3'], ['logits'], { transB: 1 }],
    ],
    constants: { w1: weights(1, [4, 3, 3, 3, 3]), w2: weights(2, [6, 4, 2, 3, 3]), w3: weights(3, [5, 6]) },
  });
  await using explainer = await Explainer.open(network, { backend: 'reference' });
  expect(explainer.notes).toContain(
    'Layer "relu2" has one step along time, so all frames of a clip have the same map; "relu1" has 2.',
  );
  await using finer = await Explainer.open(network, { backend: 'reference', layer: 'relu1' });
  expect(finer.notes.join()).not.toContain('one step');
});

describe('a run', () => {
  test('takes animated WebP files of a folder for clips, and still ones for the frames of one', async () => {
    const still = (frame: ReturnType<typeof drawnFrame>) =>
      encodeImage(frame, { format: 'webp', quality: 90 });
    for (const folder of ['moving', 'still']) mkdirSync(file(`webp/${folder}`), { recursive: true });
    for (const t of [0, 1, 2, 3]) {
      writeFileSync(file(`webp/still/${t}.webp`), await still(drawnFrame(t)));
      const frames = drawnFrames(4 + t);
      if (t < 2)
        writeFileSync(file(`webp/moving/${t}.webp`), await clipWriters.webp.write(frames, { rate: 5 }));
    }
    const { lines } = await run([file('webp')]);
    expect(lines.map(({ image }) => [image.path, image.clip.count])).toEqual([
      [file('webp/moving/0.webp'), 4],
      [file('webp/moving/1.webp'), 4],
      [file('webp/still'), 4],
    ]);
  });

  test('takes each folder of frames as a clip, and writes what was asked for', async () => {
    const outputs = { save: ['overlay', 'map', 'npy', 'cutout', 'sheet'], video: 'webp' } as const;
    const { out, lines, summary } = await run([file('walk')], { outputs });
    expect(summary).toMatchObject({ images: 2, explained: 2, failed: 0 });
    expect(lines.map(({ image }) => image.path)).toEqual([file('walk/first.take'), file('walk/second')]);
    const [{ files, map }] = lines;
    expect(files.overlay).toBe('first.take.overlay.webp');
    expect(map).toMatchObject({ dims: [4, 8, 8], bounds: [] });
    expect(map.frames).toHaveLength(4);
    expect(await readNpy(join(out, files.npy))).toMatchObject({ dims: [4, 8, 8] });
    expect(await decodeImage(join(out, files.overlay))).toMatchObject({ width: 20, height: 12, frames: 4 });
    expect(await decodeImage(join(out, files.sheet))).toMatchObject({
      width: 2 * 20 + 4,
      height: 2 * 12 + 4,
    });
    expect(await decodeImage(join(out, files.map))).toMatchObject({
      width: 3 * 8 - 8 + 4,
      height: 2 * 8 + 4,
    });
    expect(readFileSync(join(out, 'index.html'), 'utf8')).toContain('first.take.overlay.webp');
  });

  test('gives every clip of a video its line and files, resumes, and explains archives alike', async () => {
    const bytes = await clipWriters.gif.write(drawnFrames(10), { rate: 10 });
    writeFileSync(file('moving.gif'), bytes);
    const options = { open: { frames: { stride: 4 } }, outputs: { save: ['npy'] } } as const;
    const whole = await run([file('moving.gif')], options);
    expect(whole.lines.map(({ image }) => image.clip.start)).toEqual([0, 4, 8]);
    expect(whole.lines.map(({ files }) => files.npy)).toEqual([
      'moving#0.npy',
      'moving#1.npy',
      'moving#2.npy',
    ]);
    const again = await run([file('moving.gif')], { ...options, out: whole.out, resume: true });
    expect(again.summary).toMatchObject({ before: 1, explained: 1 });
    writeFileSync(
      file('clips.tar'),
      Buffer.concat([encodeMember('moving.gif', Buffer.from(bytes)), archiveEnd]),
    );
    const packed = await run([], { ...options, archives: [file('clips.tar')] });
    const maps = ({ lines }: typeof packed) => lines.map(({ target, map }) => ({ target, map }));
    expect(maps(packed)).toEqual(maps(whole));
  });

  test('takes the pictures of a folder in an archive for the frames of a clip, in whatever order it holds them', async () => {
    const frames = drawnFrames(12);
    const members = frames.map((frame, t) => [`set/walk/${t}.png`, encodePng(frame)] as const).toReversed();
    const root = frames.slice(0, 4).map((frame, t) => [`${t}.png`, encodePng(frame)] as const);
    const moving = await clipWriters.webp.write(frames.slice(0, 5), { rate: 5 });
    const entries = [
      ...members.slice(0, 6),
      ['set/walk/moving.webp', moving] as const,
      ...root,
      ...members.slice(6),
    ];
    writeFileSync(
      file('frames.tar'),
      Buffer.concat([...entries.map(([name, bytes]) => encodeMember(name, Buffer.from(bytes))), archiveEnd]),
    );
    mkdirSync(file('unpacked'));
    for (const [name, bytes] of members) writeFileSync(file(`unpacked/${name.split('/').at(-1)}`), bytes);
    const options = { outputs: { save: ['npy', 'overlay'], video: 'webp' } } as const;
    const { lines, summary, out } = await run([], { ...options, archives: [file('frames.tar')] });
    expect(summary).toMatchObject({ images: 3, failed: 0 });
    const tar = file('frames.tar');
    expect(lines.map(({ image }) => [image.path, image.clip.start])).toEqual([
      [`${tar}/set/walk`, 1],
      [`${tar}/set/walk/moving.webp`, 1],
      [tar, 0],
    ]);
    expect(lines.map(({ files }) => files.npy)).toEqual([
      'set/walk.npy',
      'set/walk/moving.npy',
      'frames.npy',
    ]);
    const plain = await run([file('unpacked')], options);
    const { image: _, index: __, files: ___, ...unpacked } = plain.lines[0];
    expect(lines[0]).toMatchObject(unpacked);
    const again = await run([], { ...options, archives: [tar], out, resume: true });
    expect(again.summary).toMatchObject({ before: 3, explained: 3 });
  });

  test.each([
    ['windows that overlap', { interval: 2, stride: 3 }, [0, 3, 6], 0],
    ['more clips than the video has frames', { interval: 1, clips: 12 }, [0, 1, 2, 3, 4, 5, 6], 0],
    ['frames that stand for several', { rate: 25, stride: 4 }, [0, 4, 8, 12, 16, 20], 0],
    ['passes of several clips', { stride: 1 }, [0, 1, 2, 3, 4, 5, 6, 7], 3],
  ])('draws every clip of a video, whose frames they share: %s', async (_, frames, starts, batchSize) => {
    writeFileSync(file('shared.gif'), await clipWriters.gif.write(drawnFrames(10), { rate: 10 }));
    const open = { frames };
    const { out, lines } = await run([file('shared.gif')], {
      open,
      ...(batchSize ? { explain: { batchSize } } : {}),
      outputs: { save: ['overlay', 'sheet'], video: 'webp', opacity: 0 },
    });
    expect(lines.filter((line) => 'error' in line)).toEqual([]);
    expect(lines.map(({ image }) => image.clip.start)).toEqual(starts);
    await using explainer = await Explainer.open(model, open);
    const alone = await explainer.explain(file('shared.gif'));
    for (const [i, { files }] of lines.entries()) {
      const sheet = await decodeImage(join(out, files.sheet));
      const { data, width } = contactSheet(alone[i].frames ?? []); // opacity 0: the frames themselves
      expect([sheet.width, Buffer.from(sheet.data).equals(Buffer.from(data))]).toEqual([width, true]);
    }
  });

  test('takes a single picture for what is in it, and names the file where that is no clip', async () => {
    mkdirSync(file('single'));
    const still = file('single/still.png');
    writeFileSync(still, encodePng(drawnFrame(0)));
    const { lines } = await run([still]);
    expect(lines).toEqual([
      expect.objectContaining({
        error: expect.objectContaining({
          message: `"${still}" cannot be read as a clip: it is one picture, and the model takes clips; give a video, an animation or a folder of frames.`,
        }),
      }),
    ]);
    for (const [name, writer] of [
      ['single/moving.jpg', clipWriters.gif],
      ['single/moving.webp', clipWriters.webp],
    ] as const) {
      writeFileSync(file(name), await writer.write(drawnFrames(10), { rate: 10 }));
      const [line] = (await run([file(name)])).lines;
      expect(line.image).toMatchObject({ path: file(name), clip: { count: 4, interval: 2 } });
    }
  });

  test('a network of pictures leaves videos of a folder out, and says so', async () => {
    const { classifier, bytesFrom } = await import('../support/network.js');
    writeFileSync(file('pictures.onnx'), bytesFrom(classifier()));
    writeFileSync(file('walk/second/video.mp4'), 'no video');
    const { lines, summary } = await run([file('walk/second')], { model: file('pictures.onnx') } as never);
    rmSync(file('walk/second/video.mp4'));
    expect(lines).toHaveLength(8);
    expect(summary.leftOut.sentence).toMatch(/1 file left out: .*video.mp4 \(a video\)/);
  });

  test('refuses a sampling that does not fit the network', async () => {
    await expect(run([file('walk')], { open: { frames: { count: 5 } } })).rejects.toThrow(
      'The sidecar and "frames" make clips of dims [N, 3, 5, 8, 8] (layout NCTHW), and the model\'s "clip" takes [N, 3, 4, 8, 8].',
    );
    await expect(run([file('walk')], { open: { frames: { stride: 2, clips: 2 } } })).rejects.toThrow(
      '"clips" and "stride" exclude each other: clips are either spread over the video or slide.',
    );
    await expect(run([file('walk')], { open: { frames: { intervall: 2 } as never } })).rejects.toThrow(
      /Closest: "interval"/,
    );
  });
});

describe.skipIf(!hasFfmpeg)(`a video${ffmpegNote}`, () => {
  test.each(['mp4', 'webm'] as const)(
    'becomes %s of its frames under their maps, in time with its sound',
    async (video) => {
      const sound = ['-f', 'lavfi', '-i', 'sine=duration=4', '-map', '0:v', '-map', '1:a', '-c:a', 'aac'];
      ffmpeg([...sound, ...lossless, file('video.mp4')], drawnFrames(40, 21, 13));
      const { out, lines } = await run([file('video.mp4')], { outputs: { video, opacity: 0 } });
      const [{ files, image }] = lines;
      expect(image).toMatchObject({ width: 21, height: 13, clip: { start: 5, interval: 10, rate: 10 } });
      const overlay = join(out, files.overlay);
      const shown = ['-v', 'error', '-count_frames', '-of', 'json', '-show_entries'];
      const entries = 'stream=codec_name,width,height,nb_read_frames,start_time,duration:format=duration';
      const { streams, format } = JSON.parse(
        String(spawnSync('ffprobe', [...shown, entries, overlay]).stdout),
      );
      expect(streams[0]).toMatchObject({ width: 22, height: 14, nb_read_frames: '4' });
      expect(
        streams.map(({ start_time }: { start_time: string }) => Math.abs(Number(start_time)) < 0.05),
      ).toEqual([true, true]);
      expect(Number(format.duration)).toBeCloseTo(4, 0);
      const raw = ['-v', 'error', '-i', overlay, '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'];
      const pixels = spawnSync('ffmpeg', raw).stdout;
      [5, 15, 25, 35].forEach((t, i) => {
        const drawn = drawnFrame(t, 21, 13).data; // opacity 0: the frames themselves
        let sum = 0;
        for (let y = 0; y < 13; y++)
          for (let x = 0; x < 63; x++) sum += Math.abs(drawn[y * 63 + x] - pixels[(i * 14 + y) * 66 + x]);
        expect(sum / drawn.length).toBeLessThan(25); // colours at half resolution
      });
    },
  );
});

const oracle = fileURLToPath(new URL('../../../shared/oracle/c3d_fc/', import.meta.url));

describe.skipIf(!existsSync(oracle))('C3D exported by PyTorch, from frames (needs ../shared/oracle)', () => {
  /** Two clips as the oracle's input has them: numbers, not pictures; so they are fed as frames that only scale. */
  test('maps of a clip in a .npy file and in memory are within 1e-4 of autograd’s', async () => {
    const expected = (await readNpy(join(oracle, 'grad-cam++.map.npy'))) as Tensor;
    await using explainer = await Explainer.open(join(oracle, 'torchscript-17.onnx'), {
      layer: '/4/Relu_output_0',
    });
    const explanations = await explainer.explain(join(oracle, 'input.npy'), { targets: 1 });
    const { data } = parseNpy(readFileSync(join(oracle, 'input.npy')));
    expect(data.length).toBe(2 * 3 * 4 * 16 * 16);
    explanations.forEach(({ targets }, n) => {
      const size = 4 * 16 * 16;
      const theirs = Float32Array.from(expected.data as Float32Array).subarray(n * size, (n + 1) * size);
      expect(furthest(targets[0].map.data, theirs)).toBeLessThan(1e-4);
    });
  });
});
