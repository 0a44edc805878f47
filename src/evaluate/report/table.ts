import { ByteWriter, parquetWrite } from 'hyparquet-writer';

/** Per-picture numbers: columns of one length, in the order of the pictures. */
export type Table = readonly Column[];
export type Column =
  | { readonly name: string; readonly type: 'string'; readonly values: readonly string[] }
  | { readonly name: string; readonly type: 'number'; readonly values: readonly number[] }
  | { readonly name: string; readonly type: 'boolean'; readonly values: readonly boolean[] };

/** RFC 4180: comma, CRLF, quotes where needed; NaN is an empty field. Numbers in full precision. */
export function toCsv(table: Table): string {
  const rows = Array.from({ length: table[0].values.length }, (_, i) =>
    table.map(({ values }) => field(values[i])).join(','),
  );
  return [table.map(({ name }) => field(name)).join(','), ...rows, ''].join('\r\n');
}

function field(value: string | number | boolean): string {
  if (typeof value === 'number' && Number.isNaN(value)) return '';
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Parquet: strings, doubles and booleans; NaN stays NaN. */
export function toParquet(table: Table): Uint8Array {
  const writer = new ByteWriter();
  const types = { string: 'STRING', number: 'DOUBLE', boolean: 'BOOLEAN' } as const;
  parquetWrite({
    writer,
    columnData: table.map(({ name, type, values }) => ({ name, data: [...values], type: types[type] })),
  });
  return writer.getBytes();
}
