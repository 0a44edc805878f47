import { release, uninitialized } from '../memory.js';
import { sizeOf } from '../tensor.js';
import { kernels } from './kernels.js';
import { type Pixels, type Rectangle, toGrey } from './pixels.js';
import type { ResizePlan } from './resize.js';

export const interpolations = ['pillow-bilinear', 'pillow-bicubic', 'torch-bilinear'] as const;
export type Interpolation = (typeof interpolations)[number];
export const resizeModes = ['shorter-edge', 'stretch'] as const;
export const channelOrders = ['RGB', 'BGR', 'gray'] as const;
export const layouts = ['NCHW', 'NHWC'] as const;

/** How a picture becomes the network's input; docs/preprocessing.md. `checkSidecar` fills in the defaults. */
export interface Preprocessing {
  /** The model input's name; undefined where the model has one input. */
  readonly name?: string;
  readonly layout: (typeof layouts)[number];
  /** The input's [H, W]. */
  readonly size: readonly [number, number];
  /** Length of the shorter edge before the centre crop; undefined: just enough to cover `size`. */
  readonly resize?: number;
  readonly resizeMode: (typeof resizeModes)[number];
  readonly interpolation: Interpolation;
  readonly channels: (typeof channelOrders)[number];
  /** The value of white before mean and std: 1 or 255. */
  readonly range: 1 | 255;
  /** Subtracted, then divided by; one number a channel, in the order of `channels`. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface PreprocessedPicture {
  /** [C, H, W], or [H, W, C] for NHWC. */
  readonly tensor: Float32Array;
  /** Dims of `tensor`, without N. */
  readonly dims: readonly [number, number, number];
  /** The part of the picture that the network sees; beyond its edges where the input is padded. */
  readonly geometry: Rectangle;
}

/** Where a crop begins in the resized picture; where this is shorter than the crop, nothing is said of that axis. */
export interface Crop {
  readonly x?: number;
  readonly y?: number;
}

/**
 * The network's input, `(value · range / 255 − mean) / std`, computed as torchvision does on float32.
 *
 * @param out where the tensor is written: a slice of a batch, of exactly C · H · W numbers
 * @param crop default: the centre
 */
export function preprocess(
  pixels: Pixels,
  p: Preprocessing,
  out?: Float32Array,
  crop?: Crop,
): PreprocessedPicture {
  const [height, width] = p.size;
  const order = p.channels === 'gray' ? [0] : p.channels === 'BGR' ? [2, 1, 0] : [0, 1, 2];
  const dims: [number, number, number] =
    p.layout === 'NCHW' ? [order.length, height, width] : [height, width, order.length];
  const tensor = out ?? new Float32Array(uninitialized(sizeOf(dims) * Float32Array.BYTES_PER_ELEMENT));
  if (tensor.length !== sizeOf(dims))
    throw new RangeError(`${tensor.length} numbers do not fill dims [${dims.join(', ')}]`);
  const plan = planResize(pixels.width, pixels.height, p, crop);
  const values = inputValues(pixels, p, plan);
  const steps = { range: p.range, mean: p.mean, std: p.std, order };
  if (p.layout === 'NCHW') kernels().normalizeToCHW(values, steps, tensor);
  else kernels().normalizeToHWC(values, steps, tensor);
  release([values]);
  return { tensor, dims, geometry: geometryOf(pixels, plan, p) };
}

/** The part of a picture of `width`×`height` that the network sees, in that picture's coordinates. */
export function inputGeometry(width: number, height: number, p: Preprocessing, crop?: Crop): Rectangle {
  return geometryOf({ width, height }, planResize(width, height, p, crop), p);
}

/**
 * The first, the middle and the last crop along the edge of the resized picture that is longer beside the crop's; the middle alone
 * where nothing is left beside it. (SlowFast's `uniform_crop`; its middle is ours where it is no half pixel.)
 */
export function threeCrops(width: number, height: number, p: Preprocessing): readonly Crop[] {
  const middle = planResize(width, height, p);
  const [across, down] = [middle.width - p.size[1], middle.height - p.size[0]];
  const axis = across >= down ? 'x' : 'y';
  const last = Math.max(across, down);
  if (last <= 0) return [{}];
  return [...new Set([0, middle.window[axis], last])].map((start) => ({ [axis]: start }));
}

/** The part of a picture of `width`×`height`, in whole pixels, that the network's input is computed from: all else changes nothing. */
export function seenPart(width: number, height: number, p: Preprocessing, crop?: Crop): Rectangle {
  const plan = planResize(width, height, p, crop);
  const reach = p.interpolation === 'pillow-bicubic' ? 2 : 1;
  const along = (length: number, resized: number, start: number, count: number) => {
    const scale = length / resized;
    const margin = reach * Math.max(scale, 1) + 1;
    const first = Math.max(0, Math.floor(start * scale - margin));
    return [first, Math.min(length, Math.ceil((start + count) * scale + margin)) - first];
  };
  const [x, across] = along(width, plan.width, plan.window.x, plan.window.width);
  const [y, down] = along(height, plan.height, plan.window.y, plan.window.height);
  return { x, y, width: across, height: down };
}

/** The picture as the network sees it, before mean and std: RGB, size[1]×size[0]. */
export function cropToInput(pixels: Pixels, p: Preprocessing): Pixels {
  const values = inputValues(pixels, p, planResize(pixels.width, pixels.height, p));
  const [height, width] = p.size;
  const data = new Uint8Array(width * height * 3);
  // Writing into bytes truncates; values are 0…255, so adding one half rounds.
  if (p.channels !== 'gray') for (let i = 0; i < data.length; i++) data[i] = values[i] + 0.5;
  else
    for (let i = 0, o = 0; o < data.length; i++, o += 3)
      data[o] = data[o + 1] = data[o + 2] = values[i] + 0.5;
  return { data, width, height, channels: 3 };
}

/** A plan and where its window belongs in the input: `left` and `top` are 0 unless the input is padded. */
interface PlacedPlan extends ResizePlan {
  readonly left: number;
  readonly top: number;
}

/** torchvision's `Resize` and `CenterCrop`, with its rounding. */
function planResize(width: number, height: number, p: Preprocessing, { x, y }: Crop = {}): PlacedPlan {
  const [resizedWidth, resizedHeight] = resizedSize(width, height, p);
  const [across, down] = [center(resizedWidth, p.size[1]), center(resizedHeight, p.size[0])];
  return {
    width: resizedWidth,
    height: resizedHeight,
    window: { x: x ?? across.start, y: y ?? down.start, width: across.length, height: down.length },
    left: across.offset,
    top: down.offset,
  };
}

/** [width, height] before the crop. `Resize` truncates the longer edge. */
function resizedSize(width: number, height: number, p: Preprocessing): [number, number] {
  const [inputHeight, inputWidth] = p.size;
  if (p.resizeMode === 'stretch') {
    const scale = (p.resize ?? Math.min(inputWidth, inputHeight)) / Math.min(inputWidth, inputHeight);
    return [Math.round(inputWidth * scale), Math.round(inputHeight * scale)];
  }
  if (p.resize !== undefined) {
    return width <= height
      ? [p.resize, Math.trunc((p.resize * height) / width)]
      : [Math.trunc((p.resize * width) / height), p.resize];
  }
  return inputHeight * width >= inputWidth * height
    ? [Math.max(inputWidth, Math.trunc((inputHeight * width) / height)), inputHeight]
    : [inputWidth, Math.max(inputHeight, Math.trunc((inputWidth * height) / width))];
}

/** Where `CenterCrop` cuts `size` from `length`, or, where that is shorter, where it pads it. */
function center(length: number, size: number): { start: number; length: number; offset: number } {
  if (length < size) return { start: 0, length, offset: Math.floor((size - length) / 2) };
  const half = (length - size) / 2;
  const start = Number.isInteger(half) ? half : 2 * Math.round(half / 2); // Python rounds halves to even
  return { start, length: size, offset: 0 };
}

function geometryOf(
  picture: { width: number; height: number },
  plan: PlacedPlan,
  p: Preprocessing,
): Rectangle {
  const scaleX = picture.width / plan.width;
  const scaleY = picture.height / plan.height;
  return {
    x: (plan.window.x - plan.left) * scaleX,
    y: (plan.window.y - plan.top) * scaleY,
    width: p.size[1] * scaleX,
    height: p.size[0] * scaleY,
  };
}

/** [H, W, C] of the input in 0…255: 8 bits, or for torch-bilinear unrounded. */
function inputValues(pixels: Pixels, p: Preprocessing, plan: PlacedPlan): Uint8Array | Float32Array {
  const { width, height } = pixels;
  const [data, colours] = p.channels === 'gray' ? [toGrey(pixels), 1] : [pixels.data, 3];
  const filter = p.interpolation === 'pillow-bicubic' ? 'bicubic' : 'bilinear';
  const values =
    p.interpolation === 'torch-bilinear'
      ? kernels().resizeTorchBilinear(data, width, height, colours, plan)
      : kernels().resizePillow(data, width, height, colours, plan, filter);
  return pad(values, colours, plan, p.size);
}

/** Black around a window that is smaller than the input, as torchvision's CenterCrop does. */
function pad<T extends Uint8Array | Float32Array>(
  values: T,
  colours: number,
  { window, left, top }: PlacedPlan,
  [height, width]: readonly [number, number],
): T {
  if (window.width === width && window.height === height) return values;
  const out = new (values.constructor as new (length: number) => T)(width * height * colours);
  const row = window.width * colours;
  for (let y = 0; y < window.height; y++)
    out.set(values.subarray(y * row, (y + 1) * row), ((top + y) * width + left) * colours);
  return out;
}
