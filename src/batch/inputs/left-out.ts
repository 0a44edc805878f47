import { extname } from 'node:path';
import { whyNoPicture } from '../../image/formats.js';

/** Names that are said. */
const most = 3;
/** Kinds of files that are counted each. */
const mostKinds = 6;

const unreadFormat = /^it is (an? .*), which is not read$/;

/** Whether a file is left out because it is a picture of a format that is not read. */
export function isUnreadFormat(reason: string): boolean {
  return unreadFormat.test(reason);
}

/** Files that were found and are not read: how many of each kind, and the first of them. */
export class LeftOut {
  count = 0;
  /** Pictures of formats that are not read, with what they are. */
  readonly #pictures: string[] = [];
  readonly #others: string[] = [];
  readonly #kinds = new Map<string, number>();

  /** @param reason as "it is a HEIC picture, which is not read" */
  add(path: string, reason = ''): void {
    this.count++;
    const kind = kindOf(path, reason);
    this.#kinds.set(kind, (this.#kinds.get(kind) ?? 0) + 1);
    const [, what] = unreadFormat.exec(reason) ?? [];
    const names = what ? this.#pictures : this.#others;
    if (names.length < most) names.push(what ? `${path} (${what})` : path);
  }

  /** The first names, those of pictures before those of other files. */
  get first(): readonly string[] {
    return [...this.#pictures, ...this.#others].slice(0, most);
  }

  /** "10 .heic, 2 .svg, 1 without extension", most first. */
  get kinds(): string {
    const kinds = [...this.#kinds].toSorted(([, a], [, b]) => b - a);
    const rest = kinds.slice(mostKinds).reduce((sum, [, count]) => sum + count, 0);
    return [
      ...kinds.slice(0, mostKinds).map(([kind, count]) => `${count} ${kind}`),
      ...(rest > 0 ? [`${rest} others`] : []),
    ].join(', ');
  }

  /** "5 files left out: a.heic (a HEIC picture), b.md, c.csv, …"; undefined where there are none. */
  get sentence(): string | undefined {
    if (this.count === 0) return undefined;
    const names = this.first;
    const more = this.count > names.length ? ', …' : '';
    return `${this.count} ${this.count === 1 ? 'file' : 'files'} left out: ${names.join(', ')}${more}`;
  }

  /** The same as whole sentences: one, or none. */
  get remarks(): string[] {
    return this.sentence === undefined ? [] : [`${this.sentence}.`];
  }
}

/** The extension that a file is left out for; the reason, where its name would be a picture's. */
function kindOf(path: string, reason: string): string {
  const extension = extname(path).toLowerCase() || 'without extension';
  return whyNoPicture(path) === undefined && reason ? `${extension} (${reason})` : extension;
}
