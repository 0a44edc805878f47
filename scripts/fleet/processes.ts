import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the scripts of this folder do with the command that was built. They run in scripts/build/scripts/fleet. */
export const project = fileURLToPath(new URL('../../../../', import.meta.url));
export const main = join(project, 'dist/cli/main.js');

export type Environment = Readonly<Record<string, string>>;
export interface Ended {
  readonly code: number | string;
  readonly said: string;
}
export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** @param within a command that runs the one behind it */
export function start(
  args: readonly string[],
  env: Environment = {},
  within: readonly string[] = [],
): Started {
  const [command, ...rest] = [...within, process.execPath, main, ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => (said += data));
  return { child, ended: once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, said })) };
}

/** @param expected exit codes */
export async function gradcampp(
  args: readonly string[],
  expected: readonly number[],
  env: Environment = {},
): Promise<string> {
  const { code, said } = await start(args, env).ended;
  if (expected.includes(code as number)) return said;
  throw new Error(`gradcampp ${args.join(' ')} ended with ${code}: ${said}`);
}

/** Names and digests of all files of a folder. */
export function digest(folder: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder, { recursive: true }).map(String).sort())
    if (statSync(join(folder, name)).isFile()) {
      const bytes = readFileSync(join(folder, name));
      const isPage = name.endsWith('.html'); // which says where the pictures are, seen from it
      hash.update(name).update(isPage ? bytes.toString().replaceAll(/(\.\.\/)+/g, '') : bytes);
    }
  return hash.digest('hex');
}
