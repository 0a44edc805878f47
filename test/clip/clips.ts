import { spawnSync } from 'node:child_process';
import type { ClipLayout } from '../../src/image/frame-sampling.js';
import type { Pixels } from '../../src/image/pixels.js';
import { bytesFrom, weights } from '../support/network.js';

/** Whether videos can be tested here. With REQUIRE_FFMPEG=1 a missing ffmpeg is a failure, not a skip. */
export const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0 || process.env.REQUIRE_FFMPEG === '1';
export const ffmpegNote = hasFfmpeg ? '' : ' (skipped: no ffmpeg)';

/** A bright square that moves a pixel to the right each frame, over a pattern; red says which frame it is. */
export function drawnFrame(t: number, width = 20, height = 12): Pixels {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, p = 0; y < height; y++)
    for (let x = 0; x < width; x++, p += 3) {
      const isSquare = x >= t % width && x < (t % width) + 4 && y >= 4 && y < 8;
      data.set(isSquare ? [255, 255, 255] : [t, (x * 9) % 200, (y * 17) % 200], p);
    }
  return { data, width, height, channels: 3 };
}

export function drawnFrames(count: number, width?: number, height?: number): Pixels[] {
  return Array.from({ length: count }, (_, t) => drawnFrame(t, width, height));
}

/** Runs ffmpeg; drawn frames go into `pipe:0` as raw video. */
export function ffmpeg(args: readonly string[], frames: readonly Pixels[] = [], rate = 10): void {
  const [first] = frames;
  const input = first
    ? [
        '-f',
        'rawvideo',
        '-pix_fmt',
        'rgb24',
        '-video_size',
        `${first.width}x${first.height}`,
        '-framerate',
        String(rate),
        '-i',
        'pipe:0',
      ]
    : [];
  const { status, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-y', ...input, ...args], {
    input: Buffer.concat(frames.map(({ data }) => data)),
  });
  if (status !== 0) throw new Error(String(stderr));
}

/** Keeps every pixel as it is. */
export const lossless = ['-c:v', 'libx264rgb', '-qp', '0', '-preset', 'ultrafast'];

/** A 3-D convolution and a classifier on clips of `count` frames of 8 × 8, whose axes lie as the layout says. */
export function clipNetwork(layout: ClipLayout = 'NCTHW', count = 4, N: number | string = 'N'): Uint8Array {
  const dims = { NCTHW: [3, count, 8, 8], NTCHW: [count, 3, 8, 8], NTHWC: [count, 8, 8, 3] }[layout];
  const perm = { NCTHW: [0, 1, 2, 3, 4], NTCHW: [0, 2, 1, 3, 4], NTHWC: [0, 4, 1, 2, 3] }[layout];
  return bytesFrom({
    inputs: { clip: [N, ...dims] },
    outputs: ['logits'],
    nodes: [
      ['Transpose', ['clip'], ['x'], { perm }],
      ['Conv', ['x', 'w1'], ['conv'], { pads: [1, 1, 1, 1, 1, 1] }],
      ['Relu', ['conv'], ['relu']],
      ['MaxPool', ['relu'], ['pooled'], { kernel_shape: [1, 2, 2], strides: [1, 2, 2] }],
      ['Flatten', ['pooled'], ['flat']],
      ['Gemm', ['flat', 'w2'], ['logits'], { transB: 1 }],
    ],
    constants: { w1: weights(1, [6, 3, 3, 3, 3]), w2: weights(2, [5, 6 * count * 16]) },
  });
}
