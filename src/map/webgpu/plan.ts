import { GradcamppError } from '../../errors.js';
import { sizeOf } from '../../tensor.js';
import type { MapRequest } from '../backend.js';
import { linearTaps } from '../../upsample.js';

/** The numbers of a request that the kernel and its buffers are laid out by. */
export interface Shape {
  readonly images: number;
  readonly targets: number;
  readonly channels: number;
  readonly positions: number;
  readonly pixels: number;
  /** Elements of `gradients` for one image and one target: K·P, or K for the weights of CAM. */
  readonly plane: number;
  readonly layer: readonly [number, number, number];
  readonly size: readonly [number, number, number];
}

/** A part of a request that one dispatch computes: `images` from `firstImage`, `targets` from `firstTarget`. */
export interface Batch {
  readonly firstImage: number;
  readonly images: number;
  readonly firstTarget: number;
  readonly targets: number;
}

/** What a device lets one dispatch have. */
export interface BatchLimits {
  /** Bytes of one storage buffer binding. */
  readonly bindingBytes: number;
  /** Workgroups along one axis of a dispatch. */
  readonly workgroups: number;
}

/** Numbers before the raw map of each image and target in `results`: exponent, empty, finite, 0. */
export const headLength = 4;

export function shapeOf(request: MapRequest): Shape {
  const { images, channels, layer, size } = request;
  const ofWeights = request.method === 'cam';
  const positions = sizeOf(layer);
  return {
    images,
    targets: ofWeights ? request.weights!.length : request.gradients.length,
    channels,
    positions,
    pixels: sizeOf(size),
    plane: ofWeights ? channels : channels * positions,
    layer: threeDims(layer),
    size: threeDims(size),
  };
}

/** [t, h, w], with 1 for the axes that a layer of fewer dims does not have. */
function threeDims(dims: readonly number[]): [number, number, number] {
  return [dims.at(-3) ?? 1, dims.at(-2) ?? 1, dims.at(-1)!];
}

/** 32-bit words of `results` for one image and one target. */
function resultLength({ positions, pixels }: Shape): number {
  return headLength + positions + pixels;
}

/** Byte lengths of the buffers that a batch needs. */
export function bytesOf(
  shape: Shape,
  batch: Batch,
): { activations: number; gradients: number; results: number } {
  const units = batch.images * batch.targets;
  return {
    activations: 4 * batch.images * shape.channels * shape.positions,
    gradients: 4 * units * shape.plane,
    results: 4 * units * resultLength(shape),
  };
}

/**
 * The dispatches of a request: one, unless it is beyond a limit of the device. Then images are split evenly; where one
 * image with all its targets is too much, targets too. Throws where one image and one target are.
 */
export function planBatches(shape: Shape, limits: BatchLimits): Batch[] {
  const one = bytesOf(shape, { firstImage: 0, images: 1, firstTarget: 0, targets: 1 });
  const largest = Math.max(one.activations, one.gradients, one.results);
  if (largest > limits.bindingBytes)
    throw new GradcamppError(
      'RUNTIME',
      `One image and target of ${shape.channels} channels of ${shape.layer.join('×')} upsampled to ${shape.size.join('×')} ` +
        `needs a buffer of ${largest} bytes, and this device binds ${limits.bindingBytes}. Use the backend "native" or "reference".`,
    );
  const { bindingBytes, workgroups } = limits;
  const perTarget = Math.max(one.gradients, one.results);
  const targetsAtOnce = Math.min(shape.targets, workgroups, Math.floor(bindingBytes / perTarget));
  const imagesAtOnce =
    targetsAtOnce < shape.targets
      ? 1
      : Math.min(
          shape.images,
          workgroups,
          Math.floor(bindingBytes / Math.max(one.activations, shape.targets * perTarget)),
        );

  const batches: Batch[] = [];
  for (const [firstImage, images] of evenParts(shape.images, imagesAtOnce))
    for (const [firstTarget, targets] of evenParts(shape.targets, targetsAtOnce))
      batches.push({ firstImage, images, firstTarget, targets });
  return batches;
}

/** [start, length] of as few parts as `most` allows, their lengths differing by one at most. */
function evenParts(count: number, most: number): [number, number][] {
  const parts = Math.ceil(count / most);
  return Array.from({ length: parts }, (_, i) => {
    const start = Math.floor((i * count) / parts);
    return [start, Math.floor(((i + 1) * count) / parts) - start];
  });
}

/** The uniform `Dims` of the shader. */
export function dimsWords(shape: Shape, batch: Batch): Uint32Array<ArrayBuffer> {
  const units = batch.images * batch.targets;
  const rawStart = units * headLength;
  const mapsStart = rawStart + units * shape.positions;
  return Uint32Array.of(
    batch.images,
    shape.channels,
    shape.positions,
    shape.pixels,
    ...shape.size,
    shape.layer[0],
    rawStart,
    mapsStart,
    0,
    0,
  );
}

/** The `taps` of the shader: of w, then of h, then of t; offsets in elements of the raw map. */
export function tapWords({ layer, size }: Shape): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(3 * (size[0] + size[1] + size[2]));
  const fractions = new Float32Array(words.buffer);
  let at = 0;
  let stride = 1;
  for (const axis of [2, 1, 0]) {
    const { low, high, t } = linearTaps(layer[axis], size[axis]);
    for (let i = 0; i < size[axis]; i++, at += 3) {
      words[at] = low[i] * stride;
      words[at + 1] = high[i] * stride;
      fractions[at + 2] = t[i];
    }
    stride *= layer[axis];
  }
  return words;
}
