import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { GradcamppError } from '../errors.js';
import { makeFolder, unwritable } from './folder.js';
import type { AnyLine, FailedLine, ResultLine } from './results.js';
import { resultsFile } from './run-folder.js';

type Type = 'INT32' | 'DOUBLE' | 'BOOLEAN' | 'STRING';
type Value = number | boolean | string | undefined;

/** A column's name, type, and value of a line. */
type Column = readonly [
  name: string,
  type: Type,
  value: (line: Partial<ResultLine> & Partial<FailedLine>) => Value,
];

/** One row a line of results.jsonl; empty where the line has no such value. Boxes are of the largest region. */
export const columns: readonly Column[] = [
  ['index', 'INT32', ({ index }) => index],
  ['image', 'STRING', ({ image }) => image?.path],
  ['width', 'INT32', ({ image }) => (image as ResultLine['image'])?.width],
  ['height', 'INT32', ({ image }) => (image as ResultLine['image'])?.height],
  ['class', 'INT32', ({ target }) => target?.class],
  ['name', 'STRING', ({ target }) => target?.name],
  ['kind', 'STRING', ({ target }) => target?.kind],
  ['output', 'STRING', ({ target }) => target?.output],
  ['score', 'DOUBLE', ({ target }) => target?.score],
  ['probability', 'DOUBLE', ({ target }) => target?.probability],
  ['box_x', 'DOUBLE', ({ target }) => target?.box?.x],
  ['box_y', 'DOUBLE', ({ target }) => target?.box?.y],
  ['box_width', 'DOUBLE', ({ target }) => target?.box?.width],
  ['box_height', 'DOUBLE', ({ target }) => target?.box?.height],
  ['layers', 'STRING', ({ layers }) => layers?.join(' ')],
  ['method', 'STRING', ({ method }) => method],
  ['settings', 'STRING', ({ settings }) => settings && JSON.stringify(settings)],
  ['backend', 'STRING', ({ backend }) => backend],
  ['map_height', 'INT32', ({ map }) => map?.dims.at(-2)],
  ['map_width', 'INT32', ({ map }) => map?.dims.at(-1)],
  ['map_empty', 'BOOLEAN', ({ map }) => map?.empty],
  ['map_log_scale', 'DOUBLE', ({ map }) => map?.logScale],
  ['regions', 'INT32', ({ map }) => map?.bounds.length],
  ['region_x', 'INT32', ({ map }) => map?.bounds[0]?.x],
  ['region_y', 'INT32', ({ map }) => map?.bounds[0]?.y],
  ['region_width', 'INT32', ({ map }) => map?.bounds[0]?.width],
  ['region_height', 'INT32', ({ map }) => map?.bounds[0]?.height],
  ['overlay', 'STRING', ({ files }) => files?.overlay],
  ['map', 'STRING', ({ files }) => files?.map],
  ['npy', 'STRING', ({ files }) => files?.npy],
  ['raw', 'STRING', ({ files }) => files?.raw],
  ['cutout', 'STRING', ({ files }) => files?.cutout],
  ['error_code', 'STRING', ({ error }) => error?.code],
  ['error', 'STRING', ({ error }) => error?.message],
];

/** Rows that are held at once. */
const groupSize = 10_000;

export function tableFormatOf(path: string): 'parquet' | 'csv' {
  const extension = extname(path).toLowerCase();
  if (extension === '.parquet') return 'parquet';
  if (extension === '.csv') return 'csv';
  throw new GradcamppError(
    'INVALID_OPTION',
    `"table" must be a file that ends in .parquet or .csv; received ${JSON.stringify(path)}.`,
  );
}

/** Makes the folder of a table, so that a name which cannot be written is refused before the work. */
export async function prepareTable(path: string): Promise<void> {
  tableFormatOf(path);
  try {
    await makeFolder(dirname(resolve(path)));
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** Writes the results of a finished run as a table, under a temporary name first. */
export async function writeTable(path: string, out: string): Promise<void> {
  const rows = groupsOf(join(out, resultsFile));
  const partial = `${path}.partial`;
  try {
    if (tableFormatOf(path) === 'csv') await writeCsv(partial, rows);
    else await writeParquet(partial, rows);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw unwritable(path, cause);
  }
}

async function* groupsOf(results: string): AsyncGenerator<AnyLine[]> {
  let group: AnyLine[] = [];
  for await (const line of createInterface({ input: createReadStream(results) })) {
    group.push(JSON.parse(line) as AnyLine);
    if (group.length < groupSize) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

async function writeParquet(path: string, groups: AsyncIterable<AnyLine[]>): Promise<void> {
  const { ParquetWriter, fileWriter, schemaFromColumnData } = await import('hyparquet-writer');
  const dataOf = (lines: readonly AnyLine[]) =>
    columns.map(([name, type, value]) => ({
      name,
      type,
      nullable: true,
      data: lines.map((line) => value(line) ?? null),
    }));
  const schema = schemaFromColumnData({ columnData: dataOf([]) });
  const writer = new ParquetWriter({ writer: fileWriter(path), schema, createdBy: 'gradcampp' });
  for await (const lines of groups)
    await writer.write({ columnData: dataOf(lines), rowGroupSize: groupSize });
  await writer.finish();
}

/** RFC 4180, with a header, lines ending in CRLF. */
async function writeCsv(path: string, groups: AsyncIterable<AnyLine[]>): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.write(rowOf(columns.map(([name]) => name)));
    for await (const lines of groups)
      await file.write(lines.map((line) => rowOf(columns.map(([, , value]) => value(line)))).join(''));
  } finally {
    await file.close();
  }
}

function rowOf(values: readonly Value[]): string {
  return `${values.map(cell).join(',')}\r\n`;
}

function cell(value: Value): string {
  const text = value === undefined ? '' : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
