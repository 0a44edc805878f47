import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../../src/evaluate/evaluate.js';
import { random } from '../../../src/random-stream.js';
import { resultsOf, writeOutcome } from '../../../src/evaluate/report/report-files.js';
import { chooseShown } from '../../../src/evaluate/report/gallery.js';
import { escapeHtml, html, jsonScript } from '../../../src/html.js';
import { format, formatP } from '../../../src/evaluate/report/number.js';
import { writeColumns } from '../../../src/evaluate/report/columns.js';
import { decodeImage } from '../../../src/image/decode.js';
import { reportText } from '../../../src/evaluate/report/text.js';
import { openThumbnails } from '../../../src/evaluate/report/thumbnail.js';
import { measureHere } from '../../../src/evaluate/measurer.js';
import type { Pixels } from '../../../src/image/pixels.js';
import { fakeSubject, left, variants } from '../fake.js';
import { reportOf } from './sample.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('html', () => {
  it('escapes every value and leaves markup alone', () => {
    expect(html`<b title="${'"<'}">${html`<i>${1}</i>`}${undefined}${['a&', 'b']}</b>`.text).toBe(
      '<b title="&quot;&lt;"><i>1</i>a&amp;b</b>',
    );
    expect(escapeHtml(`<script>'"&`)).toBe('&lt;script&gt;&#39;&quot;&amp;');
  });

  it('keeps JSON from ending its script', () => {
    const { text } = jsonScript('data', { name: '</script><script>alert(1)' });
    expect(text.match(/<\/script>/g)?.length).toBe(1);
    expect(JSON.parse(text.slice(text.indexOf('>') + 1, text.lastIndexOf('<')))).toEqual({
      name: '</script><script>alert(1)',
    });
  });
});

describe('numbers', () => {
  it('have fixed digits, a true minus and a dash for nothing', () => {
    expect([
      format(-1.25, 1),
      format(-0.001, 1),
      format(NaN, 2),
      format(undefined, 2),
      format(12, 0),
    ]).toEqual(['−1.3', '0.0', '–', '–', '12']);
    expect([formatP(0.0001), formatP(0.0421), formatP(NaN)]).toEqual(['< 0.001', '0.042', '–']);
  });
});

it('writes tables in which what is no number is an empty cell in CSV, and stays what it is in Parquet', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'columns-'));
  const table = [
    { name: 'image', type: 'string', values: ['a,b', '=c'] },
    { name: 'drop', type: 'number', values: [0.1, NaN] },
    { name: 'empty', type: 'boolean', values: [true, false] },
  ] as const;
  const [csv, parquet] = [join(folder, 'a.csv'), join(folder, 'a.parquet')];
  await writeColumns(csv, 'csv', table);
  expect(readFileSync(csv, 'utf8')).toBe('image,drop,empty\r\n"a,b",0.1,true\r\n\'=c,,false\r\n');
  await writeColumns(parquet, 'parquet', table);
  const bytes = readFileSync(parquet);
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  expect(await parquetReadObjects({ file })).toEqual([
    { image: 'a,b', drop: 0.1, empty: true },
    { image: '=c', drop: NaN, empty: false },
  ]);
  rmSync(folder, { recursive: true });
});

describe('thumbnails', () => {
  const stream = random('noise');
  const noise = (size: number): Pixels => {
    // Smooth noise, about as hard to compress as a photograph.
    const coarse = Array.from({ length: 3 * (size / 4) ** 2 }, () => stream.below(256));
    const data = Uint8Array.from({ length: 3 * size * size }, (_, i) => {
      const [p, c] = [Math.floor(i / 3), i % 3];
      const cell = Math.floor(p / size / 4) * (size / 4) + Math.floor((p % size) / 4);
      return Math.min(255, Math.max(0, coarse[cell * 3 + c] + stream.below(24) - 12));
    });
    return { data, width: size, height: size, channels: 3 };
  };

  it('share a budget: more pictures are smaller, none is enlarged', async () => {
    const edges = [10, 1000, 5000].map((count) => openThumbnails(count, 3).edge);
    expect(edges[0]).toBe(224);
    expect(edges[1]).toBeLessThan(224);
    expect(edges[2]).toBeLessThan(edges[1]);
    const small = await openThumbnails(1, 1).picture(noise(32));
    const { width, height } = await decodeImage(Buffer.from(small.slice(small.indexOf(',') + 1), 'base64'));
    expect([width, height]).toEqual([32, 32]);
  });

  it('keep 1,000 pictures with 3 maps below 10 MB', async () => {
    const thumbnails = openThumbnails(1000, 3);
    const map = Float32Array.from({ length: 224 * 224 }, () => stream.uniform());
    const pictures: string[] = [];
    for (let i = 0; i < 5; i++) pictures.push(await thumbnails.picture(noise(224)));
    const { data } = thumbnails.map(map, 224);
    const mean = pictures.reduce((sum, url) => sum + url.length, 0) / pictures.length;
    expect(1000 * (mean + 3 * ((data.length * 4) / 3) + 400)).toBeLessThan(10e6);
  });

  it('shrink maps by averaging', () => {
    const { mapEdge, map } = openThumbnails(1, 1);
    const halves = Float32Array.from({ length: 56 * 56 }, (_, p) => (p % 56 < 28 ? 1 : 0));
    const { data, width } = map(halves, 56);
    expect([mapEdge, width, data.length]).toEqual([28, 28, 784]);
    expect([...data.subarray(0, 28)]).toEqual(Array.from({ length: 28 }, (_, x) => (x < 14 ? 255 : 0)));
  });
});

describe('what is shown', () => {
  it('is drawn from the set of pictures, whatever their order', () => {
    const names = Array.from({ length: 30 }, (_, i) => `p${i}`);
    const chosen = chooseShown(names, 1, 10);
    expect(chosen.size).toBe(10);
    expect(chooseShown(random('x').shuffle(names), 1, 10)).toEqual(chosen);
    expect(chooseShown(names, 2, 10)).not.toEqual(chosen);
    expect(chooseShown(names, 1, 40).size).toBe(30);
  });
});

describe('the summary for a terminal', () => {
  it('has a line a metric with what chance gives, and says below what that is', () => {
    const lines = reportText(reportOf(3)).split('\n');
    expect(lines.slice(0, 3)).toEqual([
      'Sample',
      'A report of made-up numbers.',
      'Made up <b>on purpose</b>.',
    ]);
    expect(lines[5].trim().split(/ {2,}/)).toEqual(['first', 'second', 'random', 'by chance']);
    expect(lines[6].split(/ {2,}/)).toEqual([
      'Drop % ↓',
      '25.0 [20.0, 30.0]',
      '50.0 [45.0, 55.0]',
      '75.0 [70.0, 80.0]',
      '≤ 50.0',
    ]);
    expect(lines[7]).toMatch(/^Missing .* –$/);
    expect(lines.slice(9, 12)).toEqual([
      'By chance, of a map that knows nothing of the picture:',
      '  Drop: at most half of <all>.',
      '  Missing: no fixed number.',
    ]);
  });
});

describe('results', () => {
  it('name every number with its unit', () => {
    const report = reportOf(3);
    const outcome = {
      evaluation: 'sample',
      images: 3,
      failures: [],
      settings: { steps: 2 },
      report,
      table: [],
    };
    expect(JSON.parse(JSON.stringify(resultsOf(outcome)))).toMatchObject({
      evaluation: 'sample',
      provenance: { model: 'sample.onnx' },
      metrics: {
        drop: {
          name: 'Drop',
          unit: '%',
          better: 'lower',
          byChance: { text: 'half of <all>', value: 50, isBound: true },
          values: { first: { mean: 25, low: 20, high: 30, count: 3 } },
        },
      },
      curves: { kept: { x: [0, 0.5, 1], first: { y: [0, 0.6, 1] } } },
    });
  });

  it('are equal files for equal runs, and the order of pictures changes the table alone', async () => {
    const pictures = Object.fromEntries(
      Array.from({ length: 12 }, (_, i) => [`p${i}`, left.map(() => random('pixel', i).uniform())]),
    );
    const run = async (images: readonly string[], name: string) => {
      const out = join(folder, name);
      const measurer = measureHere(fakeSubject({ pictures }));
      const { files } = await evaluate('faithfulness', { model: measurer, images, variants, out, steps: 4 });
      return Promise.all(files.map(async (file) => digest(await readFile(file))));
    };
    const names = Object.keys(pictures);
    const first = await run(names, 'a');
    expect(await run(names, 'b')).toEqual(first);
    const [results, table, page] = await run([...names].reverse(), 'c');
    expect([results, page]).toEqual([first[0], first[2]]);
    expect(table).not.toBe(first[1]);
  });

  it('say what stands in the way of writing', async () => {
    const file = join(folder, 'a', 'results.json');
    const outcome = {
      evaluation: 'sample',
      images: 0,
      failures: [],
      settings: {},
      report: reportOf(1),
      table: [{ name: 'image', type: 'string', values: [] }] as const,
    };
    await expect(writeOutcome(outcome, join(file, 'below'))).rejects.toThrow(
      'cannot be written: a part of the path is a file',
    );
    expect((await stat(file)).isFile()).toBe(true);
  });
});

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
