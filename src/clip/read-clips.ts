import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Unreadable } from '../image/decoders/decoder.js';
import { recognize } from '../image/formats.js';
import { filesIn } from '../image/listing.js';
import { whyNoPicture } from '../image/formats.js';
import { around, type Pixels, type Rectangle } from '../image/pixels.js';
import { inputGeometry, preprocess, seenPart, threeCrops } from '../image/preprocess.js';
import { unreadable, unnamed } from '../image/unreadable.js';
import { sizeOf } from '../tensor.js';
import type { ClipFrames, ClipInput, ClipPreprocessing, ClipSource, FrameStream } from './clip.js';
import { headOf } from './content.js';
import { planSampling, type SamplingPlan } from './sampling.js';
import { openFrames } from './sources/frames.js';
import { clipSources } from './sources/index.js';

/** A clip as the network takes it, and the frames that it was made of. */
export interface ReadClip {
  /** Dims of the input, without N. */
  readonly dims: readonly number[];
  /** Of the middle crop. */
  readonly tensor: Float32Array;
  /** Where there are several crops: all of them. */
  readonly crops?: ClipCrops;
  /** Absent where they were not asked for. */
  readonly frames?: readonly Pixels[];
  /** What they measure. */
  readonly frameSize: { readonly width: number; readonly height: number };
  /** The part of each frame that the network sees, in all crops together. */
  readonly geometry: Rectangle;
  readonly clip: ClipFrames;
  /** The file that holds the sound, where there may be some. */
  readonly sound?: string;
}

/** Crops of one clip, side by side along one axis. */
export interface ClipCrops {
  /** Where each begins in what they cover together. */
  readonly views: readonly { readonly tensor: Float32Array; readonly x: number; readonly y: number }[];
  /** [H, W] of that, in pixels of the network's input. */
  readonly size: readonly [number, number];
}

/** Frames of one clip have so many pixels together at most: they are held until its map is drawn. */
const mostPixels = 200_000_000;

/** How clips are read. */
export interface ClipOptions {
  /** What the video is called in messages; default its path. */
  readonly name?: string;
  /** Whether clips come with their frames, as they are, for drawing. Default true; without them much less is moved and held. */
  readonly frames?: boolean;
  /** A frame of more pixels is refused, before memory is taken for it. Default 100 million. */
  readonly maxPixels?: number;
}

/**
 * The clips of a video, one after the other: frames are decoded once, and no more of them are held than the clips need that are
 * not complete.
 *
 * @throws GradcamppError INVALID_IMAGE
 */
export async function* readClips(
  input: ClipInput | URL,
  preprocessing: ClipPreprocessing,
  { name = typeof input === 'string' ? input : unnamed, frames = true, maxPixels }: ClipOptions = {},
): AsyncGenerator<ReadClip> {
  const { sampling } = preprocessing;
  try {
    const source = input instanceof URL ? fileURLToPath(input) : input;
    const stream = await openStream(source, { rate: sampling.rate, name, maxPixels });
    const pixels = stream.width * stream.height * sampling.count;
    if (frames && pixels > mostPixels)
      throw new Unreadable(
        `${sampling.count} frames of ${stream.width} × ${stream.height} have ${pixels} pixels, and a clip has at most ${mostPixels}; make the video smaller first`,
      );
    yield* clipsOf(stream, preprocessing, planSampling(sampling, stream.count), frames);
  } catch (cause) {
    if (cause instanceof Unreadable) throw unreadable(name, cause.message, cause.cause, 'a clip');
    throw cause;
  }
}

async function openStream(
  input: ClipInput,
  options: Parameters<ClipSource['open']>[1],
): Promise<FrameStream> {
  const { rate, maxPixels } = options;
  if (typeof input !== 'string' && !(input instanceof Uint8Array)) return openFrames(input, maxPixels);
  if (typeof input === 'string' && (await stat(input).catch(() => undefined))?.isDirectory())
    return openFrames({ frames: await framesIn(input), rate }, maxPixels);
  const head = await headOf(input);
  if (head === '') throw new Unreadable('it is empty');
  const source = clipSources.find(({ recognizes }) => recognizes(head));
  if (source) return source.open(input, options);
  const { decoder, other } = recognize(Buffer.from(head, 'latin1'));
  throw new Unreadable(
    decoder
      ? 'it is one picture, and the model takes clips; give a video, an animation or a folder of frames'
      : `${other ? `it is ${other}` : 'it does not begin like a video'}; give a video, an animation or a folder of frames`,
  );
}

/** The pictures directly in a folder, in natural order. */
async function framesIn(folder: string): Promise<string[]> {
  const { files } = await filesIn(folder);
  return files.filter((path) => whyNoPicture(path) === undefined);
}

/** A clip that is not complete. */
interface Window {
  readonly number: number;
  readonly start: number;
  /** One a crop. */
  readonly tensors: readonly Float32Array[];
  /** How many of its frames there are. */
  filled: number;
  /** Where they are kept. */
  readonly frames: Pixels[];
}

async function* clipsOf(
  stream: FrameStream,
  { layout, frame, sampling }: ClipPreprocessing,
  plan: SamplingPlan,
  keepsFrames: boolean,
): AsyncGenerator<ReadClip> {
  const { count, interval, startOf } = plan;
  const channels = frame.channels === 'gray' ? 1 : 3;
  const [height, width] = frame.size;
  const dims = {
    NCTHW: [channels, count, height, width],
    NTCHW: [count, channels, height, width],
    NTHWC: [count, height, width, channels],
  }[layout];
  const crops = sampling.crops === 3 ? threeCrops(stream.width, stream.height, frame) : [{}];
  const middle = Math.floor(crops.length / 2);
  const geometry = around(crops.map((crop) => inputGeometry(stream.width, stream.height, frame, crop)));
  const places = crops.map(({ x = 0, y = 0 }) => ({ x: x - (crops[0].x ?? 0), y: y - (crops[0].y ?? 0) }));
  const covered = [height + (places.at(-1)?.y ?? 0), width + (places.at(-1)?.x ?? 0)] as const;
  let open: Window[] = [];
  let next = 0;
  const taking = (index: number) =>
    open.filter(({ start }) => index >= start && (index - start) % interval === 0);
  const isWanted = (index: number): boolean => {
    for (let start = startOf(next); start !== undefined && start <= index; start = startOf(++next))
      open.push({
        number: next,
        start,
        tensors: crops.map(() => new Float32Array(sizeOf(dims))),
        filled: 0,
        frames: [],
      });
    return taking(index).some(({ start }) => index < start + count * interval);
  };
  const put = (tensor: Float32Array, values: Float32Array, t: number) => {
    if (layout !== 'NCTHW') return tensor.set(values, t * values.length);
    const plane = height * width;
    for (let c = 0; c < channels; c++)
      tensor.set(values.subarray(c * plane, (c + 1) * plane), (c * count + t) * plane);
  };
  /** @param total frames of the video, as far as it is known */
  const clip = ({ number, start, tensors, filled, frames }: Window, total: number): ReadClip => ({
    dims,
    tensor: tensors[middle],
    ...(crops.length > 1
      ? { crops: { views: tensors.map((tensor, i) => ({ tensor, ...places[i] })), size: covered } }
      : {}),
    ...(keepsFrames ? { frames } : {}),
    frameSize: { width: stream.width, height: stream.height },
    geometry,
    clip: {
      ...(plan.isMany ? { number } : {}),
      start,
      interval,
      count: filled,
      span: Math.min(filled * interval, total - start),
      ...(stream.rate === undefined ? {} : { rate: stream.rate }),
      ...(crops.length > 1 ? { crops: crops.length } : {}),
    },
    sound: stream.sound,
  });
  let index = 0;
  const last = crops.map(() => new Float32Array(height * width * channels));
  const parts = crops.map((crop) => seenPart(stream.width, stream.height, frame, crop));
  const part = keepsFrames ? undefined : around(parts);
  for await (const pixels of stream.read(isWanted, { pattern: plan.frames, part })) {
    if (pixels) {
      checkSame(stream, pixels);
      for (const [i, crop] of crops.entries()) preprocess(pixels, frame, last[i], crop);
      for (const window of taking(index)) {
        if (window.filled === count) continue;
        for (const [i, tensor] of window.tensors.entries()) put(tensor, last[i], window.filled);
        window.filled++;
        if (keepsFrames) window.frames.push(pixels);
      }
    }
    index++;
    // A clip is whole once the frames have come that its last one stands for.
    const isDone = ({ filled, start }: Window) => filled === count && index >= start + count * interval;
    const done = open.filter(isDone);
    if (done.length > 0) open = open.filter((window) => !isDone(window));
    for (const window of done) yield clip(window, index);
    if (startOf(next) === undefined && open.every(({ filled }) => filled === count)) {
      for (const window of open) yield clip(window, Math.max(index, stream.count)); // which ended its plan
      return;
    }
  }
  // What the video was too short for is filled with its last frame; a window's rest, where it is half a clip.
  const full = open.filter(({ filled }) => filled === count);
  const short = open.filter(({ filled }) => filled < count);
  for (const window of [...full, ...(sampling.stride === undefined ? short : short.slice(0, 1))]) {
    const { filled, number } = window;
    if (filled === 0) continue;
    if (sampling.stride !== undefined && number > 0 && filled < count / 2) continue;
    for (const [i, tensor] of window.tensors.entries())
      for (let t = filled; t < count; t++) put(tensor, last[i], t);
    yield clip(window, index);
  }
}

/** A stream can change its size on its way; its overlays could not. */
function checkSame(stream: FrameStream, { width, height }: Pixels): void {
  if (width !== stream.width || height !== stream.height)
    throw new Unreadable(
      `its frames must be of one size: ${stream.width} × ${stream.height} was expected, ${width} × ${height} received`,
    );
}
