import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/**
 * The command that gives a process file systems of its own, as root, or as root of a user namespace; undefined where there is none.
 * `folder` is made, and something is mounted over it to see.
 */
export function ownFileSystems(folder: string): readonly string[] | undefined {
  mkdirSync(folder, { recursive: true });
  const mount = ['mount', '-t', 'tmpfs', '-o', 'size=100k', 'tmpfs', folder];
  return [
    ['unshare', '--mount'],
    ['unshare', '--user', '--map-root-user', '--mount'],
  ].find(([command, ...flags]) => spawnSync(command, [...flags, ...mount]).status === 0);
}
