import { stat } from 'node:fs/promises';
import { extname, posix } from 'node:path';
import { GradcamppError } from '../errors.js';
import { imageExtensions } from '../image/formats.js';
import { isGlob } from '../image/glob.js';
import { expandSources, type SourceOptions } from '../image/sources.js';
import type { Picture } from './files-service.js';
import { Names, rootOfPattern } from './names.js';
import { readMembers } from './tar.js';

/** A picture of a run, and the archive that its results go to, where it came from one. */
export interface Input extends Picture {
  readonly archive?: string;
}

/** Everything that a run explains, in order, named. */
export async function listInputs(
  images: readonly string[],
  archives: readonly string[],
  options: SourceOptions = {},
): Promise<Input[]> {
  const inputs: Input[] = [];
  const add = (input: Omit<Input, 'index'>) => inputs.push({ index: inputs.length, ...input });
  const names = new Names(await rootsOf(images));
  for await (const path of expandSources(images, options)) add({ path, name: names.nameOf(path) });
  const archiveNames = new Names();
  for (const path of archives) {
    const archive = `${archiveNames.nameOf(path)}.tar`;
    const keys = new Names();
    const before = inputs.length;
    for await (const { name, offset, size } of readMembers(path)) {
      if (![...imageExtensions, '.npy'].includes(extname(name).toLowerCase())) continue;
      const part = { archive: path, offset, size };
      const own = keys.reserve(keyOf(name));
      add({ path: `${path}/${name}`, name: own, part, archive });
    }
    if (inputs.length === before)
      throw new GradcamppError('INVALID_OPTION', `The archive ${JSON.stringify(path)} holds no pictures.`);
  }
  if (inputs.length === 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      'No pictures were named: give files, folders, patterns or --input.',
    );
  return inputs;
}

/** WebDataset's key: the name up to the first dot of its last part. */
function keyOf(member: string): string {
  const last = posix.basename(member);
  const stem = last.slice(0, last.indexOf('.', 1));
  return posix.join(posix.dirname(member), stem).replace(/^(\.{0,2}\/)+/, '');
}

/** The folders that arguments name, and those in which patterns begin. */
async function rootsOf(sources: readonly string[]): Promise<string[]> {
  const roots: string[] = [];
  for (const source of sources) {
    if (source === '-') continue;
    const found = await stat(source).catch(() => undefined);
    if (found?.isDirectory()) roots.push(source);
    else if (!found && isGlob(source)) roots.push(rootOfPattern(source));
  }
  return roots;
}
