import { fileURLToPath } from 'node:url';
import { invalid } from '../../check.js';
import { GradcamppError, messageOf, show } from '../../errors.js';
import type { ImageInput } from '../../explain/input.js';
import type { ImageSource } from '../../image/decode.js';
import type { Target } from '../../targets/index.js';
import type { Item } from '../each.js';

/** A picture, or one with targets of its own. */
export type PictureInput =
  | ImageInput
  | { readonly image: ImageInput; readonly targets: Target | readonly Target[] };

/** What a stream gave, counted from 0: a picture, or what is wrong with it. */
export type Entry =
  | { readonly index: number; readonly item: Item }
  | { readonly index: number; readonly error: GradcamppError };

/** A path and bytes are iterable too, by characters and bytes. */
export function checkImages(images: unknown): void {
  const isIterable =
    images !== null &&
    typeof images === 'object' &&
    !ArrayBuffer.isView(images) &&
    (Symbol.iterator in images || Symbol.asyncIterator in images);
  if (!isIterable)
    throw invalid(
      'images',
      'an iterable or async iterable of pictures',
      images,
      'Put one picture into a list.',
    );
}

/** The pictures of a stream by `size`; the last group may be smaller. */
export async function* inGroups(
  images: Iterable<PictureInput> | AsyncIterable<PictureInput>,
  size: number,
): AsyncGenerator<readonly Entry[]> {
  let group: Entry[] = [];
  for await (const entry of entriesOf(images)) {
    group.push(entry);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Goes on past what is wrong with a picture; an error of the stream itself ends it. */
async function* entriesOf(
  images: Iterable<PictureInput> | AsyncIterable<PictureInput>,
): AsyncGenerator<Entry> {
  let index = 0;
  try {
    if (Symbol.asyncIterator in images) for await (const image of images) yield await entryOf(index++, image);
    else for (const image of images) yield await entryOf(index++, image);
  } catch (cause) {
    if (cause instanceof GradcamppError || (cause as Error | null)?.name === 'AbortError') throw cause;
    const problem = `The stream of pictures failed after ${index} pictures: ${sentence(cause)}`;
    throw new GradcamppError('INVALID_OPTION', problem, { cause });
  }
}

/** `image` may be a promise. */
async function entryOf(index: number, image: PictureInput | PromiseLike<PictureInput>): Promise<Entry> {
  try {
    return { index, item: itemOf(await image) };
  } catch (cause) {
    if (cause instanceof GradcamppError) return { index, error: cause };
    const problem = `Picture ${index} of the stream cannot be used: ${sentence(cause)}`;
    return { index, error: new GradcamppError('INVALID_IMAGE', problem, { cause }) };
  }
}

function sentence(cause: unknown): string {
  return `${messageOf(cause).replace(/\.$/, '')}.`;
}

/** Everything is read here, once: what a picture is made of may be computed, or fail. */
function itemOf(picture: PictureInput): Item {
  const hasTargets = isObject(picture) && 'targets' in picture;
  const { image, targets } = hasTargets ? picture : { image: picture, targets: undefined };
  return { input: inputOf(image), targets };
}

/** The picture as it travels between threads, which take no URLs and no getters. */
function inputOf(image: ImageInput): ImageInput {
  if (image instanceof URL) return fileURLToPath(image);
  if (typeof image === 'string') return image;
  if (image instanceof Uint8Array) return attached(image);
  if (isObject(image) && 'frames' in image && Array.isArray(image.frames))
    return { frames: image.frames.map((frame) => inputOf(frame) as ImageSource), rate: image.rate };
  if (!isObject(image) || !('data' in image))
    throw new GradcamppError(
      'INVALID_IMAGE',
      `A picture must be a path, bytes, pixels {data, width, height, channels}, a tensor {data, dims} or a clip {frames}; received ${show(image)}.`,
    );
  const entries = parts.filter((key) => key in image).map((key) => [key, image[key as keyof typeof image]]);
  const plain = Object.fromEntries(entries) as { data: unknown };
  if (ArrayBuffer.isView(plain.data)) attached(plain.data);
  return plain as ImageInput;
}

/** What pixels and tensors are made of. */
const parts = ['data', 'width', 'height', 'channels', 'dims', 'type'] as const;

function isObject(value: unknown): value is object {
  return value !== null && typeof value === 'object';
}

/** Bytes that were handed to another thread are no longer here. */
function attached<T extends ArrayBufferView>(view: T): T {
  try {
    view.buffer.slice(0, 0);
  } catch {
    throw new Error('its buffer is detached, that is, it was handed to another thread');
  }
  return view;
}
