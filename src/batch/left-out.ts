/** Names that are kept. */
const shown = 3;

/** Files that were found and are no pictures: how many, and the first few. */
export class LeftOut {
  count = 0;
  readonly first: string[] = [];

  add(path: string): void {
    this.count++;
    if (this.first.length < shown) this.first.push(path);
  }

  /** "5 files left out: a.txt, b.md, c.csv, …"; undefined where there are none. */
  get sentence(): string | undefined {
    if (this.count === 0) return undefined;
    const more = this.count > this.first.length ? ', …' : '';
    return `${this.count} ${this.count === 1 ? 'file' : 'files'} left out: ${this.first.join(', ')}${more}`;
  }
}
