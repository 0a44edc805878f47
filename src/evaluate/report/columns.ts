import { type TableFormat, writeTable } from '../../batch/results/table-file.js';

/** Per-picture numbers: columns of one length, in the order of the pictures. */
export type Table = readonly Column[];
export type Column =
  | { readonly name: string; readonly type: 'string'; readonly values: readonly string[] }
  | { readonly name: string; readonly type: 'number'; readonly values: readonly number[] }
  | { readonly name: string; readonly type: 'boolean'; readonly values: readonly boolean[] };

/** What files call the types of columns. */
const types = { string: 'STRING', number: 'DOUBLE', boolean: 'BOOLEAN' } as const;

/** Writes a table to a file. NaN is an empty cell in CSV, and stays NaN in Parquet. */
export async function writeColumns(path: string, format: TableFormat, table: Table): Promise<void> {
  const columns = table.map(({ name, type, values }) => ({
    name,
    type: types[type],
    value: (row: number) => values[row],
  }));
  await writeTable(path, format, columns, table[0].values.keys());
}
