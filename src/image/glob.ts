import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GradcamppError } from '../errors.js';
import { naturalOrder } from './natural-order.js';

/** Whether a name holds a character that means something in a pattern. */
export function isGlob(pattern: string): boolean {
  return /[*?[{]/.test(pattern);
}

/**
 * The files and folders that match a pattern, each once, in natural order folder by folder: `*` and `?` within
 * a name, `[abc]`, `[!a-z]`, `{one,two}`, `**` for any folders, none included. Names that begin with a dot are
 * matched by a dot only; `**` does not follow symbolic links. Other than on Windows, `\` takes the next
 * character as it is.
 */
export async function* glob(pattern: string): AsyncGenerator<string> {
  const separator = process.platform === 'win32' ? /[\\/]+/ : /\/+/;
  const seen = new Set<string>();
  for (const alternative of expandBraces(pattern)) {
    const parts = alternative.split(separator);
    const root = /^([A-Za-z]:)?$/.test(parts[0]) ? `${parts.shift()}/` : '';
    for await (const path of match(
      root,
      parts.filter((part) => part !== '' && part !== '.'),
    )) {
      if (seen.has(path)) continue;
      seen.add(path);
      yield path;
    }
  }
}

async function* match(folder: string, [part, ...rest]: readonly string[]): AsyncGenerator<string> {
  if (part === undefined) return;
  if (part === '**') {
    yield* match(folder, rest.length > 0 ? rest : ['*']);
    for (const entry of await entries(folder))
      if (entry.isDirectory() && !entry.name.startsWith('.'))
        yield* match(join(folder, entry.name), ['**', ...rest]);
    return;
  }
  if (!isGlob(part)) {
    const path = join(folder, part.replaceAll(/\\(.)/g, '$1'));
    if (rest.length > 0) yield* match(path, rest);
    else if (await stat(path).catch(() => undefined)) yield path;
    return;
  }
  const expression = toExpression(part);
  for (const { name } of await entries(folder)) {
    if (!expression.test(name) || (name.startsWith('.') && !part.startsWith('.'))) continue;
    if (rest.length > 0) yield* match(join(folder, name), rest);
    else yield join(folder, name);
  }
}

/** What is in a folder; nothing where it is none or may not be read: a pattern only asks what is there. */
async function entries(folder: string): Promise<Dirent[]> {
  const found = await readdir(folder || '.', { withFileTypes: true }).catch(() => []);
  return found.sort((a, b) => naturalOrder(a.name, b.name));
}

/** One name's pattern as a regular expression. */
function toExpression(part: string): RegExp {
  let source = '';
  for (let i = 0; i < part.length; i++) {
    const character = part[i];
    const end = character === '[' ? part.indexOf(']', i + 2) : -1;
    if (character === '*') source += '.*';
    else if (character === '?') source += '.';
    else if (end > 0) {
      const set = part.slice(i + 1, end).replaceAll(/[\\\]^]/g, '\\$&');
      source += `[${set.startsWith('!') ? `^${set.slice(1)}` : set}]`;
      i = end;
    } else source += literally(character === '\\' && i + 1 < part.length ? part[++i] : character);
  }
  try {
    return new RegExp(`^${source}$`, 'su');
  } catch (cause) {
    throw new GradcamppError('INVALID_OPTION', `The pattern ${JSON.stringify(part)} has a bad [set].`, {
      cause,
    });
  }
}

function literally(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}

/** `a{b,c{d,e}}` → ab, acd, ace. Braces without a comma or without an end stand for themselves. */
function expandBraces(pattern: string): string[] {
  for (let start = pattern.indexOf('{'); start >= 0; start = pattern.indexOf('{', start + 1)) {
    const commas: number[] = [];
    let depth = 0;
    for (let i = start; i < pattern.length; i++) {
      if (pattern[i] === '{') depth++;
      else if (pattern[i] === ',' && depth === 1) commas.push(i);
      else if (pattern[i] === '}' && --depth === 0) {
        if (commas.length === 0) break;
        const bounds = [start, ...commas, i];
        return bounds
          .slice(1)
          .flatMap((bound, n) =>
            expandBraces(
              pattern.slice(0, start) + pattern.slice(bounds[n] + 1, bound) + pattern.slice(i + 1),
            ),
          );
      }
    }
  }
  return [pattern];
}
