import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { GradcamppError } from '../../errors.js';
import { readLines } from './lines.js';
import type { AnyLine, FailedLine, ResultLine } from './result-line.js';
import { resultsFile } from './run-folder.js';
import type { Reuse } from '../run-options.js';
import { type Column, isOwnTable, tableFormatOf, writeTable } from './table-file.js';
import { makeFolder, unwritable } from './write-file.js';

type Row = Partial<ResultLine> & Partial<FailedLine>;

/** One row a line of results.jsonl; empty where the line has no such value. Boxes are of the largest region. */
const cells: readonly (readonly [string, Column<Row>['type'], Column<Row>['value']])[] = [
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

const columns = cells.map(([name, type, value]): Column<Row> => ({ name, type, value }));

/**
 * Makes the folder of a table, so that a name which cannot be written is refused before the work, and a file that is not
 * to be replaced too.
 */
export async function prepareTable(path: string, { resume, overwrite }: Reuse): Promise<void> {
  const format = tableFormatOf(path);
  try {
    await makeFolder(dirname(resolve(path)));
    if (!(await stat(path).catch(() => undefined))?.isFile()) return;
    if ((resume || overwrite) && (await isOwnTable(path, format, columns))) return;
  } catch (cause) {
    throw unwritable(path, cause);
  }
  throw new GradcamppError(
    'OUTPUT',
    `The table ${JSON.stringify(path)} is there already. Name another file; --overwrite replaces one that a run wrote.`,
  );
}

/** Writes the results of a finished run as a table, under a temporary name first. */
export async function writeResultTable(path: string, out: string): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await writeTable(partial, tableFormatOf(path), columns, rowsOf(join(out, resultsFile)));
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw unwritable(path, cause);
  }
}

async function* rowsOf(results: string): AsyncGenerator<AnyLine> {
  for await (const { bytes } of readLines(results)) yield JSON.parse(bytes.toString()) as AnyLine;
}
