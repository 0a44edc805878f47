/** Names that are said. */
const most = 3;

/** Files that were found and are not read: how many, and the first of them. */
export class LeftOut {
  count = 0;
  /** Pictures of formats that are not read, with what they are. */
  readonly #pictures: string[] = [];
  readonly #others: string[] = [];

  /** @param reason as "it is a HEIC picture, which is not read" */
  add(path: string, reason = ''): void {
    this.count++;
    const [, what] = /^it is (an? .*), which is not read$/.exec(reason) ?? [];
    const names = what ? this.#pictures : this.#others;
    if (names.length < most) names.push(what ? `${path} (${what})` : path);
  }

  /** The first names, those of pictures before those of other files. */
  get first(): readonly string[] {
    return [...this.#pictures, ...this.#others].slice(0, most);
  }

  /** "5 files left out: a.heic (a HEIC picture), b.md, c.csv, …"; undefined where there are none. */
  get sentence(): string | undefined {
    if (this.count === 0) return undefined;
    const names = this.first;
    const more = this.count > names.length ? ', …' : '';
    return `${this.count} ${this.count === 1 ? 'file' : 'files'} left out: ${names.join(', ')}${more}`;
  }
}
