import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { GradcamppError } from '../../errors.js';

/** Folders that runs of this process write to, by the path of their lock. */
const claimed = new Set<string>();

/**
 * Claims a folder for one run. A claim that was left by a process which is gone is taken over: a process is told from a
 * later one of the same number by the time it started, where the system says it.
 *
 * @param path the lock file
 * @returns gives the folder back
 * @throws GradcamppError OUTPUT where another run is at work
 */
export async function claim(path: string, out: string): Promise<() => void> {
  const lock = resolve(path);
  const [pid, started] = (await readFile(lock, 'utf8').catch(() => '')).split(' ');
  const owner = Number(pid);
  const isTaken =
    owner === process.pid ? claimed.has(lock) : owner > 0 && isAlive(owner) && startOf(owner) === started;
  if (isTaken)
    throw new GradcamppError(
      'OUTPUT',
      `Another run (process ${owner}) is writing to "${out}". Wait for it, or name another output folder.`,
    );
  claimed.add(lock);
  await writeFile(lock, `${process.pid} ${startOf(process.pid)}`);
  return () => void claimed.delete(lock);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of /proc/<pid>/stat, clock ticks since the system started; "" where there is no /proc. */
function startOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
