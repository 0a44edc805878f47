import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { concurrently } from '../batch/ordered.js';
import type { Input } from '../batch/picture.js';
import { isRemote, openStorage, type Storage } from './storages/index.js';

/** Pictures that are brought together. */
const together = 16;

/** What lies below a prefix in a bucket, page by page, in the bucket's order. */
export const remoteSources = {
  isMeant: isRemote,
  async *list(source: string): AsyncGenerator<string> {
    const storage = await openStorage(source);
    for await (const name of storage.list('', { isDeep: true })) yield `${storage.address}/${name}`;
  },
};

/**
 * Brings the pictures that lie in a bucket into a folder of this machine; the others stay as they are. What is brought keeps its
 * name, and its content is its state, which is the same on every machine.
 *
 * @throws GradcamppError where the storage does not answer
 */
export async function bringPictures<P extends Pick<Input, 'path'>>(
  pictures: readonly P[],
  folder: string,
): Promise<(P & Pick<Input, 'part' | 'problem' | 'state'>)[]> {
  if (!pictures.some(({ path }) => isRemote(path))) return [...pictures];
  await mkdir(folder, { recursive: true });
  const storages = new Map<string, Promise<Storage>>();
  const bring = async ([i, picture]: readonly [number, P]) => {
    if (!isRemote(picture.path)) return picture;
    const [, address, name] = /^(\w+:\/\/[^/]+)\/(.+)$/s.exec(picture.path) as unknown as string[];
    const storage = storages.get(address) ?? openStorage(address);
    storages.set(address, storage);
    const pieces = await (await storage).read(name);
    if (!pieces)
      return {
        ...picture,
        problem: `${JSON.stringify(picture.path)} cannot be read: there is no such object.`,
      };
    const archive = join(folder, String(i));
    const hash = createHash('sha256');
    let size = 0;
    const seen = async function* () {
      for await (const piece of pieces) {
        hash.update(piece);
        size += piece.length;
        yield piece;
      }
    };
    await pipeline(seen(), createWriteStream(archive));
    return {
      ...picture,
      part: { archive, offset: 0, size },
      state: `${size} ${hash.digest('hex').slice(0, 16)}`,
    };
  };
  const brought: (P & Pick<Input, 'part' | 'problem' | 'state'>)[] = [];
  for await (const picture of concurrently(pictures.entries(), bring, { limit: together, order: 'input' }))
    brought.push(picture);
  return brought;
}
