import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { afterAll, expect, test } from 'vitest';
import { type Column, isOwnTable, tableFormatOf, writeTable } from '../../../src/batch/results/table-file.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-table-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Row {
  readonly name?: string;
  readonly score?: number;
  readonly empty?: boolean;
}
const columns: Column<Row>[] = [
  { name: 'name', type: 'STRING', value: ({ name }) => name },
  { name: 'score', type: 'DOUBLE', value: ({ score }) => score },
  { name: 'empty', type: 'BOOLEAN', value: ({ empty }) => empty },
];

async function csvOf(rows: readonly Row[]): Promise<string> {
  const path = join(folder, 'a.csv');
  await writeTable(path, 'csv', columns, rows);
  return readFileSync(path, 'utf8');
}

test('CSV as RFC 4180 wants it, numbers in full precision, empty cells for what is not there', async () => {
  expect(
    await csvOf([{ name: 'a,b', score: 0.1, empty: true }, { name: 'say "c"\n', score: Number.NaN }, {}]),
  ).toBe('name,score,empty\r\n"a,b",0.1,true\r\n"say ""c""\n",,\r\n,,\r\n');
});

test.each([
  ['=HYPERLINK("http://x")', `"'=HYPERLINK(""http://x"")"`],
  ['+x', "'+x"],
  ['-x', "'-x"],
  ['@x', "'@x"],
  ['\tx', "'\tx"],
  ['\rx', '"\'\rx"'],
  ['-1.5e3', '-1.5e3'],
  ['+7', '+7'],
  ['-', "'-"],
  ['-1-1', "'-1-1"],
  ['a=b', 'a=b'],
  ['7', '7'],
])('the cell %j', async (name, cell) => {
  expect((await csvOf([{ name, score: -2 }])).split('\r\n').slice(1).join('\r\n')).toBe(`${cell},-2,\r\n`);
});

test('Parquet that another library reads; text stays as it is', async () => {
  const path = join(folder, 'a.parquet');
  await writeTable(path, 'parquet', columns, [{ name: '=x', score: 0.1, empty: true }, {}]);
  const bytes = readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  expect(await parquetReadObjects({ file })).toEqual([
    { name: '=x', score: 0.1, empty: true },
    { name: null, score: null, empty: null },
  ]);
});

test('a table of ours is told from others', async () => {
  const [csv, parquet, mine] = ['own.csv', 'own.parquet', 'mine.csv'].map((name) => join(folder, name));
  await writeTable(csv, 'csv', columns, [{ name: 'x' }]);
  await writeTable(parquet, 'parquet', columns, [{ name: 'x' }]);
  writeFileSync(mine, 'name,score\r\nx,1\r\n');
  expect(await isOwnTable(csv, 'csv', columns)).toBe(true);
  expect(await isOwnTable(parquet, 'parquet', columns)).toBe(true);
  expect(await isOwnTable(mine, 'csv', columns)).toBe(false);
  expect(await isOwnTable(csv, 'parquet', columns)).toBe(false);
});

test('the format is the ending of the name', () => {
  expect(['a.CSV', 'b.parquet'].map(tableFormatOf)).toEqual(['csv', 'parquet']);
  expect(() => tableFormatOf('x.xlsx')).toThrow(
    '"table" must be a file that ends in .parquet or .csv; received "x.xlsx".',
  );
});

test('Parquet of more rows than a group holds, in their order', async () => {
  const path = join(folder, 'long.parquet');
  const row = (score: number): Row => ({ name: `p${score % 7}`, score });
  const rows = function* () {
    for (let i = 0; i < 20_001; i++) yield row(i);
  };
  await writeTable(path, 'parquet', columns, rows());
  const bytes = readFileSync(path);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  expect(parquetMetadata(file).row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([
    10_000, 10_000, 1,
  ]);
  const read = await parquetReadObjects({ file });
  expect(read).toHaveLength(20_001);
  expect(read.every(({ name, score }, i) => name === row(i).name && score === i)).toBe(true);
});
