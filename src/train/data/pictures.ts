import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { folderWriter } from '../../batch/results/write-file.js';
import { stateOf, statsOf } from '../../files.js';
import { decodeImage } from '../../image/decode.js';
import { cropToInput, type Preprocessing } from '../../image/preprocess.js';

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

/** Files that are decoded together. */
const together = 64;

/**
 * Pictures, decoded once: resized and cropped as the preprocessing says, before mean and deviation. They are kept in the cache,
 * in a file that is found again by the files' names, sizes and times of change.
 *
 * @param files undefined: a white picture
 * @returns the name of the file in the cache; `readPictures` reads it
 * @throws GradcamppError INVALID_IMAGE naming the first file that cannot be read
 */
export async function decodePictures(
  files: readonly (string | undefined)[],
  preprocessing: Preprocessing,
  cache: string,
  onProgress: (done: number) => void = () => undefined,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(preprocessing));
  let i = 0;
  for await (const stats of statsOf(files.map((file) => file ?? '')))
    hash.update(`${files[i++]}\0${stateOf(stats)}\0`);
  const name = `pictures-${hash.digest('hex').slice(0, 16)}.bin`;
  const [height, width] = preprocessing.size;
  const length = height * width * 3;
  const known = await readFile(join(cache, name)).catch(() => undefined);
  if (known?.length === files.length * length) return name;
  const bytes = new Uint8Array(files.length * length);
  for (let start = 0; start < files.length; start += together) {
    const group = files.slice(start, start + together);
    const decoded = await Promise.all(
      group.map((file) => (file === undefined ? undefined : decodeImage(file))),
    );
    for (const [n, picture] of decoded.entries()) {
      const at = (start + n) * length;
      if (picture) bytes.set(cropToInput(picture, preprocessing).data, at);
      else bytes.fill(255, at, at + length);
    }
    onProgress(start + group.length);
  }
  await folderWriter(cache, 'pictures')(name, [bytes]);
  return name;
}

/** What `decodePictures` left. */
export async function readPictures(
  cache: string,
  name: string,
  size: readonly [number, number],
): Promise<Pictures> {
  const bytes = await readFile(join(cache, name));
  return { count: bytes.length / (size[0] * size[1] * 3), size, bytes };
}
