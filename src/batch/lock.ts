import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { GradcamppError } from '../errors.js';

/**
 * Claims a folder for this process. A claim that was left by a process which is gone is taken over: a process is told
 * from a later one of the same number by the time it started, where the system says it.
 *
 * @throws GradcamppError OUTPUT where another process is at work
 */
export async function claim(path: string, out: string): Promise<void> {
  const [pid, started] = (await readFile(path, 'utf8').catch(() => '')).split(' ');
  const owner = Number(pid);
  if (owner > 0 && owner !== process.pid && isAlive(owner) && startOf(owner) === started)
    throw new GradcamppError(
      'OUTPUT',
      `Another run (process ${owner}) is writing to "${out}". Wait for it, or name another output folder.`,
    );
  await writeFile(path, `${process.pid} ${startOf(process.pid)}`);
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
