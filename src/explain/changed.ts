import { GradcamppError } from '../errors.js';
import type { Change } from '../methods/common/evidence.js';
import type { Row } from '../targets/target.js';

/** How changed pictures, or changed activations, go through a network. */
export interface ChangedRun {
  /** Elements of one of them. */
  readonly length: number;
  /** How many at once; exactly so many where `isFixed`. */
  readonly size: number;
  readonly isFixed: boolean;
  /** Their rows of the explained output; `data` holds `count` of them, changes of the picture `of`. */
  readonly rows: (data: Float32Array, count: number, of: number) => Promise<readonly Row[]>;
  /** Values of a row. */
  readonly rowLength: number;
  readonly value: (row: Row, of: number) => number;
  /** Told how many are done. */
  readonly onDone: (count: number) => void;
}

/** Runs changes in groups of one picture each. One array holds a group at a time, however many changes there are. */
export async function runChanges(
  changes: readonly Change[],
  { length, size, isFixed, rows, rowLength, value, onDone }: ChangedRun,
): Promise<void> {
  const data = new Float32Array(Math.min(size, isFixed ? size : changes.length) * length);
  for (let first = 0; first < changes.length; ) {
    const { of } = changes[first];
    let end = first + 1;
    while (end < changes.length && end - first < size && changes[end].of === of) end++;
    const group = changes.slice(first, end);
    for (const [i, { fill }] of group.entries()) fill(data.subarray(i * length, (i + 1) * length));
    const count = isFixed ? size : group.length;
    const found = await rows(data.subarray(0, count * length), count, of);
    if (found[0].data.length !== rowLength)
      throw new GradcamppError(
        'RUNTIME',
        `The model gives ${found[0].data.length * count} values for ${count} pictures at once and ${rowLength} for one: it takes one at a time. Export it with a fixed batch of 1.`,
      );
    for (const [i, { take }] of group.entries()) take(value(found[i], of));
    onDone(group.length);
    first = end;
  }
}

/** How many values are kept in one group of changes: with their forward passes they need several times as much memory. */
const mostElements = 1 << 23;

/** As many changes at once as are wanted and fit into memory. */
export function groupSize(wanted: number, length: number): number {
  return Math.max(1, Math.min(wanted, Math.floor(mostElements / length)));
}

/** How many values of rows are kept for the next targets. */
const mostKept = 1 << 24;

/** What changed pictures came to, for the targets after the first: they are changed alike for all of them. */
export class KeptRows {
  readonly #lists = new Map<string, readonly (Row | undefined)[]>();

  /** The rows of an earlier call of this name, where there is one of each change that is asked for. */
  of(name: string, isAsked: readonly boolean[]): readonly Row[] | undefined {
    const rows = this.#lists.get(name);
    const isWhole = rows?.length === isAsked.length && isAsked.every((asked, i) => !asked || rows[i]);
    return isWhole ? (rows as Row[]) : undefined;
  }

  keep(name: string, rows: readonly (Row | undefined)[]): void {
    const size = rows.reduce((sum, row) => sum + (row?.data.length ?? 0), 0);
    if (size <= mostKept) this.#lists.set(name, rows);
  }
}
