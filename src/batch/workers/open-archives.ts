import type { FileHandle } from 'node:fs/promises';
import { openFile, readInto } from '../../files.js';
import type { Part, Picture } from '../picture.js';

interface OpenArchive {
  readonly path: string;
  file: Promise<FileHandle> | undefined;
  tasks: number;
}

/**
 * The archives that a worker reads from. Each stays open while pictures of it are under way, and no longer: a run of many archives
 * has few of them open, and one that is replaced between two runs is opened anew.
 */
export class OpenArchives {
  /** No Map: what it outgrows keeps its later tables, and all in them, alive. */
  #open: OpenArchive[] = [];

  /** Does what reads from the archives of these pictures. */
  async during<R>(pictures: readonly Picture[], work: () => Promise<R>): Promise<R> {
    const used = pathsIn(pictures).map((path) => this.#of(path));
    for (const archive of used) archive.tasks++;
    try {
      return await work();
    } finally {
      for (const archive of used) archive.tasks--;
      const idle = used.filter(({ tasks }) => tasks === 0);
      if (idle.length > 0) this.#open = this.#open.filter(({ tasks }) => tasks > 0);
      for (const { file } of idle) await (await file?.catch(() => undefined))?.close();
    }
  }

  async read({ archive, offset, size }: Part): Promise<Uint8Array> {
    const own = this.#of(archive);
    own.file ??= openFile(archive);
    const content = Buffer.allocUnsafeSlow(size);
    await readInto(await own.file, content, offset);
    return content;
  }

  #of(path: string): OpenArchive {
    const there = this.#open.find((archive) => archive.path === path);
    if (there) return there;
    const archive: OpenArchive = { path, file: undefined, tasks: 0 };
    this.#open.push(archive);
    return archive;
  }
}

function pathsIn(pictures: readonly Picture[]): string[] {
  const paths: string[] = [];
  for (const { part, frames = [] } of pictures)
    for (const place of [part, ...frames])
      if (typeof place === 'object' && !paths.includes(place.archive)) paths.push(place.archive);
  return paths;
}
