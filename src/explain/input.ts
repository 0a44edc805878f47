import { GradcamppError, show } from '../errors.js';
import type { Dim, ValueInfo } from '../graph/graph.js';
import { clipChannelAxis } from '../clip/assumed.js';
import type { ClipFrames, ClipPreprocessing, FrameList, LateFrame } from '../clip/clip.js';
import type { ClipCrops, ClipOptions } from '../clip/read-clips.js';
import { decodeImage, type DecodeOptions, type ImageSource } from '../image/decode.js';
import { parseNpy, readNpy } from '../image/npy.js';
import type { Pixels, Rectangle } from '../image/pixels.js';
import { type Preprocessing, preprocess } from '../image/preprocess.js';
import type { Scores } from '../graph/scores.js';
import type { Row } from '../targets/target.js';
import { firstNotFinite, sizeOf, type Tensor } from '../tensor.js';

/** The network's input as it is fed, and as the model has it. */
interface Ends {
  readonly image: ValueInfo;
  readonly original: ValueInfo;
}

/**
 * A picture: a path, file URL, the bytes of a picture file, decoded pixels, or a tensor that is preprocessed
 * already, [C, H, W] or [1, C, H, W] (its path may end in .npy). For networks that take clips: the path or bytes of a video or an
 * animation, the path of a folder of frames, or frames.
 */
export type ImageInput = ImageSource | Tensor | FrameList<ImageSource | LateFrame>;

/** A picture ready for the network. */
export interface PreparedImage {
  /** The path, where there is one. */
  readonly path?: string;
  /** Dims of the network's input, without N. */
  readonly dims: readonly number[];
  readonly tensor: Float32Array;
  /** The decoded picture; undefined for tensors. */
  readonly picture?: Pixels;
  /** The part of the picture, or of each frame, that the network sees. */
  readonly geometry?: Rectangle;
  /** Of clips: the frames that the network sees where they are kept, the crops of which there are several, what frames measure, which of the video's they are, and the file that holds the sound. */
  readonly frames?: readonly Pixels[];
  readonly crops?: ClipCrops;
  /** What targets are found in, and scores are, where that is not what the network says of this input alone. */
  readonly judged?: (scores: Scores) => Promise<Row>;
  readonly frameSize?: { readonly width: number; readonly height: number };
  readonly clip?: ClipFrames;
  readonly sound?: string;
}

/** Decodes and preprocesses one picture. A .npy of N tensors gives N. `name` is what it is called; default its path. */
export async function prepareImages(
  input: ImageInput,
  preprocessing: Preprocessing | undefined,
  ends: Ends,
  { name, maxPixels }: DecodeOptions = {},
): Promise<PreparedImage[]> {
  const { image, original } = ends;
  const path = name ?? (typeof input === 'string' ? input : undefined);
  if (isTensorInput(input)) {
    if (typeof input === 'string') return splitTensor(await readNpy(input), image, path);
    if (input instanceof Uint8Array) return splitTensor(parseNpy(input, path), image, path);
    return splitTensor(input, image, path);
  }
  if (preprocessing === undefined)
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${path ? `"${path}"` : 'A picture'} cannot be fed to the model, whose input has dims [${shown(original.dims)}]; pass preprocessed tensors or .npy files, or describe the input in a sidecar file.`,
    );
  const picture = await decodeImage(input as ImageSource, { name: path, maxPixels });
  if (picture.width * picture.height === 1)
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${path ? `"${path}"` : 'The picture'} has 1 × 1 pixels, and a map needs at least two places to compare; leave it out.`,
    );
  const { tensor, dims, geometry } = preprocess(picture, preprocessing);
  return [{ path, tensor, dims, picture, geometry }];
}

/** The clips of a video, one after the other. */
export async function* prepareClips(
  input: Exclude<ImageInput, Tensor>,
  preprocessing: ClipPreprocessing,
  options: ClipOptions = {},
): AsyncGenerator<PreparedImage> {
  const path = options.name ?? (typeof input === 'string' ? input : undefined);
  if (!isClipInput(input))
    throw new GradcamppError(
      'INVALID_IMAGE',
      `The model takes clips: give the path or bytes of a video or an animation, a folder of frames, {frames: [picture, …]} or a tensor; received ${show(input)}.`,
    );
  const { readClips } = await import('../clip/read-clips.js'); // importing the package stays cheap
  for await (const { clip, ...read } of readClips(input, preprocessing, { ...options, name: path })) {
    const own = path !== undefined && clip.number !== undefined ? `${path}#${clip.number}` : path;
    yield { path: own, clip, ...read };
  }
}

function isClipInput(input: ImageInput): input is string | URL | Uint8Array | FrameList {
  if (typeof input === 'string' || input instanceof URL || input instanceof Uint8Array) return true;
  const { frames, rate } = Object(input) as Partial<FrameList>;
  return Array.isArray(frames) && (rate === undefined || (Number.isFinite(rate) && rate > 0));
}

/** A tensor, or the path or bytes of a .npy file. */
export function isTensorInput(input: ImageInput): input is string | Uint8Array | Tensor {
  if (typeof input === 'string') return input.toLowerCase().endsWith('.npy');
  if (input instanceof Uint8Array) return input[0] === 0x93 && input[1] === 0x4e;
  return isTensor(input);
}

function isTensor(input: ImageInput): input is Tensor {
  return input !== null && typeof input === 'object' && 'dims' in input && 'data' in input;
}

/** Dims of a clip, without N. */
export function clipDims({ layout, frame, sampling }: ClipPreprocessing): number[] {
  const channels = frame.channels === 'gray' ? 1 : 3;
  const { count } = sampling;
  return {
    NCTHW: [channels, count, ...frame.size],
    NTCHW: [count, channels, ...frame.size],
    NTHWC: [count, ...frame.size, channels],
  }[layout];
}

/** Refuses a sidecar, or a sampling, that makes clips which the model does not take. */
export function checkClipFit(clips: ClipPreprocessing, { image, original }: Ends): void {
  const made = clipDims(clips);
  if (made.every((dim, i) => typeof image.dims?.[i + 1] !== 'number' || image.dims[i + 1] === dim)) return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `The sidecar and "frames" make clips of dims [N, ${made.join(', ')}] (layout ${clips.layout}), and the model's "${original.name}" takes [${shown(original.dims)}].`,
  );
}

/** Refuses a sidecar that makes inputs which the model does not take. */
export function checkFit({ layout, size, channels }: Preprocessing, { image, original }: Ends): void {
  const count = channels === 'gray' ? 1 : 3;
  const made = layout === 'NCHW' ? [count, ...size] : [...size, count];
  const wanted = image.dims?.slice(1);
  const fits = made.every((dim, i) => typeof wanted?.[i] !== 'number' || wanted[i] === dim);
  if (wanted === undefined || (fits && wanted.length === made.length)) return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `The sidecar makes inputs of dims [N, ${made.join(', ')}] (input.size, input.channels, input.layout), and the model's "${original.name}" takes [${shown(original.dims)}].`,
  );
}

/**
 * The axis of a picture's input, without N, that holds its channels; −1 where there is none. The sidecar says, else the dims:
 * the last where it is short and the first is not, else the first.
 */
export function channelAxisOf(
  preprocessing: Preprocessing | undefined,
  { dims }: ValueInfo,
  clips?: ClipPreprocessing,
): number {
  if (clips) return clipChannelAxis(clips.layout);
  const own = dims?.slice(1) ?? [];
  if (own.length < 2) return -1;
  if (preprocessing) return preprocessing.layout === 'NHWC' ? own.length - 1 : 0;
  const isShort = (dim: Dim) => typeof dim === 'number' && dim <= 4;
  return own.length >= 3 && isShort(own[own.length - 1]) && !isShort(own[0]) ? own.length - 1 : 0;
}

function shown(dims: readonly Dim[] | undefined): string {
  return dims?.map((dim) => dim || '?').join(', ') ?? 'unknown';
}

function checkTensor({ dims, data }: Tensor, what: string): void {
  if (!Array.isArray(dims) || dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0))
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${what} must have "dims", a list of whole numbers; received ${show(dims)}.`,
    );
  if (!Array.isArray(data) && !(ArrayBuffer.isView(data) && !(data instanceof DataView)))
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${what} must have "data", a typed array such as Float32Array; received ${show(data)}.`,
    );
  if (data.length !== sizeOf(dims))
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${what} has dims [${dims.join(', ')}], which ${data.length} values do not fill.`,
    );
  if (data.length === 0)
    throw new GradcamppError('INVALID_IMAGE', `${what} has dims [${dims.join(', ')}]: it holds nothing.`);
}

/** A tensor without or with a batch axis, as one input a picture, checked against the model's input. */
function splitTensor(tensor: Tensor, image: ValueInfo, path?: string): PreparedImage[] {
  const wanted = image.dims ?? [];
  const what = path ? `"${path}"` : 'The tensor';
  checkTensor(tensor, what);
  const data = tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data, Number);
  const hasBatch = tensor.dims.length === wanted.length;
  const dims = hasBatch ? tensor.dims.slice(1) : tensor.dims;
  const fits =
    dims.length === wanted.length - 1 &&
    dims.every((dim, i) => typeof wanted[i + 1] === 'string' || wanted[i + 1] === dim);
  if (!fits)
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${what} must have dims [${shown(wanted.slice(1))}] or [N, ${shown(wanted.slice(1))}]; received [${tensor.dims.join(', ')}].`,
    );
  const bad = firstNotFinite(data);
  if (bad >= 0)
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${what} must hold finite numbers; received ${data[bad]} at index ${bad}.`,
    );
  const size = sizeOf(dims);
  const count = hasBatch ? tensor.dims[0] : 1;
  return Array.from({ length: count }, (_, n) => ({
    path: path && count > 1 ? `${path}#${n}` : path,
    dims,
    tensor: data.subarray(n * size, (n + 1) * size),
  }));
}
