import { copyFile, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GradcamppError } from '../errors.js';
import { makeFolder, unwritable } from '../batch/results/write-file.js';
import { readOptions } from '../options.js';
import { type BuildOptions, buildOptions, type SessionOptions } from './explore-options.js';
import { namedFiles } from './named-files.js';
import { pageFiles } from './page-files.js';
import { installedRuntime } from './runtime-files.js';
import { type Session, type SessionFile, sessionFile } from './session.js';

/**
 * Writes the explorer as static files, with the model and the pictures that are named: for any server of files, without ours.
 *
 * @returns the files that were written, relative to the folder
 * @throws GradcamppError OUTPUT, and what `serveExplorer` throws
 */
export async function buildExplorer(
  folder: string,
  session: SessionOptions = {},
  options: BuildOptions = {},
): Promise<string[]> {
  const { overwrite } = readOptions('the page', buildOptions, options);
  const runtime = installedRuntime();
  const named = await namedFiles(session);
  const held = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return [];
    throw unwritable(folder, cause);
  });
  if (held.length > 0 && !overwrite)
    throw new GradcamppError(
      'OUTPUT',
      `The folder ${JSON.stringify(folder)} holds files: name another, or replace what has the same name with --overwrite.`,
    );
  const files = [...pageFiles(), ...runtime, ...named.files];
  const written: string[] = [];
  try {
    for (const [address, path] of files) {
      const name = decodeURIComponent(address);
      await makeFolder(dirname(join(folder, name)));
      await copyFile(path, join(folder, name));
      written.push(name);
    }
    await writeFile(join(folder, sessionFile), `${JSON.stringify(published(named.session), null, 1)}\n`);
  } catch (cause) {
    throw unwritable(folder, cause);
  }
  return [...written, sessionFile];
}

/** Without the folders of this machine. */
function published({ model, pictures, ...rest }: Session): Session {
  const named = <T extends SessionFile>(file: T): T => ({ ...file, path: basename(file.path) });
  if (!model) return { ...rest, pictures: pictures.map(named) };
  const { caption } = model;
  const own = caption && {
    ...caption,
    decoder: named(caption.decoder),
    tokenizer: caption.tokenizer && named(caption.tokenizer),
  };
  return {
    ...rest,
    pictures: pictures.map(named),
    model: { ...named(model), ...(own ? { caption: own } : {}) },
  };
}
