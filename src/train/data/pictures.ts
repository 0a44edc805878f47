import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { folderWriter } from '../../batch/results/write-file.js';
import { GradcamppError } from '../../errors.js';
import { openFile, readInto } from '../../files.js';
import { cropToInput, type Preprocessing } from '../../image/preprocess.js';
import { type PictureSource, readPicture, statesOf } from './picture-source.js';

/** Pictures at the size of the network's input: RGB, 8 bits, one behind another. */
export interface Pictures {
  readonly count: number;
  /** [H, W]. */
  readonly size: readonly [number, number];
  /** count · H · W · 3. */
  readonly bytes: Uint8Array;
}

/** One picture's pixels; a view. */
export function pixelsOf({ size: [height, width], bytes }: Pictures, picture: number): Uint8Array {
  const length = height * width * 3;
  return bytes.subarray(picture * length, (picture + 1) * length);
}

/** Pictures that are decoded together. */
const together = 64;

/** What became of pictures. */
export interface Decoded {
  /** The file in the cache; `readPictures` reads it. Pictures that could not be read are not in it. */
  readonly name: string;
  /** Those, by their place among the pictures. */
  readonly unreadable: readonly { readonly index: number; readonly reason: string }[];
}

/**
 * Pictures, decoded once: resized and cropped as the preprocessing says, before mean and deviation. They are kept in the cache,
 * in a file that is found again by the files' names, sizes and times of change.
 *
 * @param pictures undefined: a white picture
 */
export async function decodePictures(
  pictures: readonly (PictureSource | undefined)[],
  preprocessing: Preprocessing,
  cache: string,
  onProgress: (done: number) => void = () => undefined,
): Promise<Decoded> {
  const hash = createHash('sha256').update(JSON.stringify(preprocessing));
  const there = pictures.filter((picture) => picture !== undefined);
  const states = statesOf(there);
  for (const picture of pictures)
    hash.update(picture ? `${picture.name}\0${(await states.next()).value}\0` : '\0\0');
  const key = hash.digest('hex').slice(0, 16);
  const [name, noted] = [`pictures-${key}.bin`, `pictures-${key}.json`];
  const [height, width] = preprocessing.size;
  const length = height * width * 3;
  const known = await unreadableIn(join(cache, noted));
  const size = await stat(join(cache, name)).then(
    (stats) => stats.size,
    () => -1,
  );
  if (known && size === (pictures.length - known.length) * length) return { name, unreadable: known };
  const bytes = new Uint8Array(pictures.length * length);
  const unreadable: Decoded['unreadable'][number][] = [];
  let at = 0;
  for (let start = 0; start < pictures.length; start += together) {
    const group = pictures.slice(start, start + together);
    const decoded = await Promise.all(
      group.map(async (picture) => (picture ? croppedOrReason(picture, preprocessing) : undefined)),
    );
    for (const [n, data] of decoded.entries()) {
      if (typeof data === 'string') {
        unreadable.push({ index: start + n, reason: data });
        continue;
      }
      if (data) bytes.set(data, at);
      else bytes.fill(255, at, at + length);
      at += length;
    }
    onProgress(start + group.length);
  }
  const write = folderWriter(cache, 'pictures');
  await write(name, [bytes.subarray(0, at)]);
  await write(noted, [Buffer.from(JSON.stringify(unreadable))]);
  return { name, unreadable };
}

/** RGB at the size of the input; or why there is none. */
async function croppedOrReason(
  picture: PictureSource,
  preprocessing: Preprocessing,
): Promise<Uint8Array | string> {
  try {
    return cropToInput(await readPicture(picture), preprocessing).data;
  } catch (error) {
    if (!(error instanceof GradcamppError)) throw error;
    return error.message;
  }
}

async function unreadableIn(path: string): Promise<Decoded['unreadable'] | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Decoded['unreadable']);
}

/** What `decodePictures` left, in memory that threads share. */
export async function readPictures(
  cache: string,
  name: string,
  size: readonly [number, number],
): Promise<Pictures> {
  const file = await openFile(join(cache, name));
  try {
    const bytes = new Uint8Array(new SharedArrayBuffer((await file.stat()).size));
    await readInto(file, bytes, 0);
    return { count: bytes.length / (size[0] * size[1] * 3), size, bytes };
  } finally {
    await file.close();
  }
}
