import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encodePng } from '../../src/image/encode.js';
import type { Subject } from '../../src/evaluate/subject.js';
import { fakeSubject, left } from './fake.js';

/** A folder for data sets; gone when `remove` is called. */
export async function openDataSets(): Promise<{
  readonly folder: string;
  write(files: Readonly<Record<string, string | Uint8Array>>): Promise<void>;
  remove(): Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'data-set-'));
  return {
    folder,
    write: async (files) => {
      for (const [name, content] of Object.entries(files)) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), content);
      }
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A picture file, for those who only look at its name. */
export const picture = encodePng({ data: new Uint8Array(48), width: 4, height: 4, channels: 3 });

/**
 * A network whose top class is "left", and that finds every picture, whatever is in the file: of the given size, and seen
 * whole by an input of 4 × 4.
 */
export function anyPicture(width = 400, height = 300): Subject {
  const subject = fakeSubject({ pictures: { any: left.map((value) => value * 0.9) } });
  return {
    ...subject,
    prepare: async (image) => ({
      ...(await subject.prepare('any')),
      image,
      geometry: {
        picture: { width, height },
        crop: { x: 0, y: 0, width, height },
        input: { width: 4, height: 4 },
      },
    }),
  };
}
