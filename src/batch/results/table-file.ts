import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { GradcamppError } from '../../errors.js';

type Value = number | boolean | string | null | undefined;

/** A column of a table: its name, what it holds, and its value in a row; empty where there is none. */
export interface Column<Row> {
  readonly name: string;
  readonly type: 'INT32' | 'DOUBLE' | 'BOOLEAN' | 'STRING';
  readonly value: (row: Row) => Value;
}

export const tableFormats = ['csv', 'parquet'] as const;
export type TableFormat = (typeof tableFormats)[number];

/** The format that a file's name ends in. */
export function tableFormatOf(path: string): TableFormat {
  const extension = extname(path).toLowerCase();
  const format = tableFormats.find((name) => extension === `.${name}`);
  if (format) return format;
  throw new GradcamppError(
    'INVALID_OPTION',
    `"table" must be a file that ends in .parquet or .csv; received ${JSON.stringify(path)}.`,
  );
}

/** Rows of which the values are held at once, and lines of CSV. */
const rowsAtOnce = 10_000;
const linesAtOnce = 1000;

export type Rows<Row> = AsyncIterable<Row> | Iterable<Row>;

/** Writes a table. Of Parquet a group of rows is held, as columns; a row itself is not. */
export async function writeTable<Row>(
  path: string,
  format: TableFormat,
  columns: readonly Column<Row>[],
  rows: Rows<Row>,
): Promise<void> {
  if (format === 'csv') await writeCsv(path, columns, rows);
  else await writeParquet(path, columns, rows);
}

/** What is written into the file, and tells a table of ours. */
const createdBy = 'gradcampp';

async function writeParquet<Row>(
  path: string,
  columns: readonly Column<Row>[],
  rows: Rows<Row>,
): Promise<void> {
  const { ParquetWriter, fileWriter, schemaFromColumnData } = await import('hyparquet-writer');
  const empty = () =>
    columns.map(({ name, type }) => ({ name, type, nullable: true, data: [] as (Value | null)[] }));
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: schemaFromColumnData({ columnData: empty() }),
    createdBy,
  });
  let [columnData, count] = [empty(), 0];
  const flush = async () => {
    await writer.write({ columnData, rowGroupSize: rowsAtOnce });
    [columnData, count] = [empty(), 0];
  };
  for await (const row of rows) {
    for (const [i, { value }] of columns.entries()) columnData[i].data.push(value(row) ?? null);
    if (++count === rowsAtOnce) await flush();
  }
  if (count > 0) await flush();
  await writer.finish();
}

/** RFC 4180, with a header, lines ending in CRLF; numbers in full precision, NaN as an empty cell. */
async function writeCsv<Row>(path: string, columns: readonly Column<Row>[], rows: Rows<Row>): Promise<void> {
  const file = await open(path, 'w');
  try {
    let [text, count] = [headerOf(columns), 0];
    for await (const row of rows) {
      text += lineOf(columns.map(({ value }) => value(row)));
      if (++count % linesAtOnce > 0) continue;
      await file.writeFile(text);
      text = '';
    }
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}

function headerOf<Row>(columns: readonly Column<Row>[]): string {
  return lineOf(columns.map(({ name }) => name));
}

function lineOf(values: readonly Value[]): string {
  return `${values.map(cell).join(',')}\r\n`;
}

/** A program that opens the file takes text that begins so for a formula, and runs it: a quotation mark in front prevents that. */
const formula = /^[=+\-@\t\r]/;

function cell(value: Value): string {
  if (value === undefined || value === null || Number.isNaN(value)) return '';
  let text = String(value);
  if (typeof value === 'string' && formula.test(text) && !isNumber(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function isNumber(text: string): boolean {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
}

/** Whether a file is a table of these columns, or at least one of ours. */
export async function isOwnTable<Row>(
  path: string,
  format: TableFormat,
  columns: readonly Column<Row>[],
): Promise<boolean> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const length = Math.min(size, 1 << 16);
    const from = format === 'csv' ? 0 : size - length;
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, from);
    if (format === 'csv') return buffer.toString().startsWith(headerOf(columns));
    return buffer.toString('latin1').endsWith('PAR1') && buffer.includes(createdBy);
  } finally {
    await file.close();
  }
}
