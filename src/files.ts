import { createHash } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { Patience } from './patience.js';

/** Files that are looked at together, and at most before others have their turn. */
const atOnce = 64;

/** What the system knows of each file, in order; undefined where it says nothing. Asked at once while the disk is quick. */
export async function* look(
  paths: Iterable<string>,
  patience = new Patience(true),
): AsyncGenerator<Stats | undefined> {
  let group: string[] = [];
  for (const path of paths) {
    group.push(path);
    if (group.length < atOnce) continue;
    yield* lookAtAll(group, patience);
    await setImmediate();
    group = [];
  }
  yield* lookAtAll(group, patience);
}

async function* lookAtAll(paths: readonly string[], patience: Patience): AsyncGenerator<Stats | undefined> {
  let i = 0;
  while (i < paths.length && patience.lasts()) yield patience.watch(() => lookAt(paths[i++]));
  yield* await Promise.all(paths.slice(i).map((path) => stat(path).catch(() => undefined)));
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** SHA-256 of a file, a piece at a time. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(1 << 18);
  const file = await open(path);
  try {
    for (let size: number; (size = (await file.read(piece)).bytesRead) > 0; )
      hash.update(piece.subarray(0, size));
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}
