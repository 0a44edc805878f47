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

/** Rows that are held at once. */
export const rowsAtOnce = 10_000;

/** Writes a table, its rows in groups of `rowsAtOnce` at most. */
export async function writeTable<Row>(
  path: string,
  format: TableFormat,
  columns: readonly Column<Row>[],
  groups: AsyncIterable<readonly Row[]> | Iterable<readonly Row[]>,
): Promise<void> {
  if (format === 'csv') await writeCsv(path, columns, groups);
  else await writeParquet(path, columns, groups);
}

/** What is written into the file, and tells a table of ours. */
const createdBy = 'gradcampp';

async function writeParquet<Row>(
  path: string,
  columns: readonly Column<Row>[],
  groups: AsyncIterable<readonly Row[]> | Iterable<readonly Row[]>,
): Promise<void> {
  const { ParquetWriter, fileWriter, schemaFromColumnData } = await import('hyparquet-writer');
  const dataOf = (rows: readonly Row[]) =>
    columns.map(({ name, type, value }) => ({
      name,
      type,
      nullable: true,
      data: rows.map((row) => value(row) ?? null),
    }));
  const schema = schemaFromColumnData({ columnData: dataOf([]) });
  const writer = new ParquetWriter({ writer: fileWriter(path), schema, createdBy });
  for await (const rows of groups) await writer.write({ columnData: dataOf(rows), rowGroupSize: rowsAtOnce });
  await writer.finish();
}

/** RFC 4180, with a header, lines ending in CRLF; numbers in full precision, NaN as an empty cell. */
async function writeCsv<Row>(
  path: string,
  columns: readonly Column<Row>[],
  groups: AsyncIterable<readonly Row[]> | Iterable<readonly Row[]>,
): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(headerOf(columns));
    for await (const rows of groups)
      await file.writeFile(rows.map((row) => lineOf(columns.map(({ value }) => value(row)))).join(''));
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
