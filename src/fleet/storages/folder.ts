import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makeFolder, unwritable } from '../../batch/results/write-file.js';
import { openFile } from '../../files.js';
import type { Storage, StorageKind } from './storage.js';

/** How names begin while they are written; they are listed by nobody. */
const partial = '.partial-';

/**
 * A folder, which may be of another machine (NFS). Files are written beside their place and renamed; one that must not replace
 * another gets its name by a link, which fails where the name is taken, on every machine.
 */
class Folder implements Storage {
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }

  async read(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    try {
      return (await openFile(join(this.address, name))).createReadStream({ highWaterMark: 1 << 18 });
    } catch (cause) {
      if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return undefined;
      throw cause;
    }
  }

  async put(name: string, content: Uint8Array | { readonly file: string }): Promise<void> {
    await this.#write(name, content, rename);
  }

  async create(name: string, bytes: Uint8Array): Promise<boolean> {
    let isMade = true;
    await this.#write(name, bytes, async (written, path) => {
      isMade = await linked(written, path);
      await rm(written, { force: true });
    });
    return isMade;
  }

  async *list(folder: string, { isDeep = false } = {}): AsyncGenerator<string> {
    const entries = await readdir(join(this.address, folder), { withFileTypes: true }).catch(
      (cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT') return [];
        throw cause;
      },
    );
    for (const entry of entries) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (isDeep && entry.isDirectory()) yield* this.list(name, { isDeep });
      else if (entry.isFile() && !entry.name.startsWith(partial)) yield name;
    }
  }

  /** @param publish gives what was written its name */
  async #write(
    name: string,
    content: Uint8Array | { readonly file: string },
    publish: (written: string, path: string) => Promise<void>,
  ): Promise<void> {
    const path = join(this.address, name);
    const written = join(dirname(path), `${partial}${randomUUID()}`);
    try {
      await makeFolder(dirname(path));
      if (content instanceof Uint8Array) {
        const file = await open(written, 'wx');
        await file
          .writeFile(content)
          .then(() => file.sync())
          .finally(() => file.close());
      } else
        await pipeline(
          createReadStream(content.file),
          createWriteStream(written, { flags: 'wx', flush: true }),
        );
      await publish(written, path);
    } catch (cause) {
      await rm(written, { force: true }).catch(() => undefined);
      throw unwritable(path, cause);
    }
  }
}

/** Gives a file a second name, if that is free. */
async function linked(written: string, path: string): Promise<boolean> {
  try {
    await link(written, path);
    return true;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // The answer of a network file system can be lost, and the link be made, and asked for again.
    if (code === 'EEXIST') return (await stat(written)).nlink > 1;
    if (!withoutLinks.includes(code ?? '')) throw cause;
    if (await stat(path).catch(() => undefined)) return false;
    await rename(written, path); // two at once then both succeed, and one of two whole files stays
    return true;
  }
}

/** What file systems say that have no links. */
const withoutLinks = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

export const folder: StorageKind = {
  isMeant: () => true,
  open: async (address) => new Folder(address),
};
