import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export function hasFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The first of some paths that is there. */
export function firstOf(paths: readonly string[]): string | undefined {
  return paths.find((path) => existsSync(path));
}

/** `set/labels/train` for `set/images/train`: the same place below another folder, where there is one. */
export function siblingFolder(folder: string, from: string, to: string): string | undefined {
  for (let above = folder, below = ''; above !== dirname(above); above = dirname(above)) {
    if (basename(above) === from) {
      const sibling = join(dirname(above), to, below);
      return hasFolder(sibling) ? sibling : undefined;
    }
    below = join(basename(above), below);
  }
  return undefined;
}
