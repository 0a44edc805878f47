import { createReadStream } from 'node:fs';
import { opendir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { html, Html } from '../../html.js';

/** Pictures on one page. */
const pageSize = 100;

/** Formats that browsers show. */
const shown = /\.(jpe?g|png|gif|webp|avif|bmp|svg)$/i;

/** Results that pages show. */
export interface PagedResults {
  /** The output folder, and its results.jsonl. */
  readonly out: string;
  readonly results: string;
  /** Pictures of the run. */
  readonly images: number;
  /** Files of the folder that are none of the run's. */
  readonly others: ReadonlySet<string>;
}

/**
 * Writes `index.html` beside a run's results, and `index-2.html` … where there are more pictures than one page holds. Files are
 * linked, never copied; only what is on a page is held in memory.
 *
 * @param render a page of pictures, of each its lines, and which of how many it is
 * @returns the names of the pages; none where somebody else's has the name of one
 */
export async function writePages<Line extends { readonly index: number }>(
  { out, results, images, others }: PagedResults,
  render: (pictures: readonly Line[][], number: number, pages: number) => Promise<string>,
): Promise<string[]> {
  if ([...others].some((name) => indexName.test(name))) return [];
  await removePages(out);
  const pages = Math.max(1, Math.ceil(images / pageSize));
  let number = 1;
  let group: Line[][] = [];
  const flush = async () => {
    await writeFile(join(out, nameOf(number)), await render(group, number, pages));
    number++;
    group = [];
  };
  for await (const picture of picturesIn<Line>(results)) {
    if (group.length === pageSize) await flush();
    group.push(picture);
  }
  await flush();
  return Array.from({ length: pages }, (_, i) => nameOf(i + 1));
}

/** Pages of a run that was cut off while it wrote them. */
async function removePages(out: string): Promise<void> {
  const pages: string[] = []; // of a folder that may hold a million other files
  for await (const { name } of await opendir(out)) if (indexName.test(name)) pages.push(name);
  for (const name of pages) await rm(join(out, name));
}

const indexName = /^index(-\d+)?\.html$/;

function nameOf(number: number): string {
  return number === 1 ? 'index.html' : `index-${number}.html`;
}

/** The lines of each picture together. */
async function* picturesIn<Line extends { readonly index: number }>(results: string): AsyncGenerator<Line[]> {
  let lines: Line[] = [];
  for await (const text of createInterface({ input: createReadStream(results) })) {
    const line = JSON.parse(text) as Line;
    if (lines.length > 0 && lines[0].index !== line.index) {
      yield lines;
      lines = [];
    }
    lines.push(line);
  }
  if (lines.length > 0) yield lines;
}

/** Which picture is the first on a page, counted from 1. */
export function firstOn(number: number): number {
  return (number - 1) * pageSize + 1;
}

export function pageLinks(number: number, pages: number): Html | undefined {
  if (pages === 1) return undefined;
  const near = [1, number - 1, number, number + 1, pages].filter(
    (other, i, all) => other >= 1 && other <= pages && all.indexOf(other) === i,
  );
  return html`<nav class="pages" aria-label="Pages"><ul>
${near.map((other) =>
  other === number
    ? html`<li><span aria-current="page">${other}</span></li>
`
    : html`<li><a href="${nameOf(other)}"${other === number + 1 ? new Html(' rel="next"') : undefined}>${other}</a></li>
`,
)}</ul></nav>`;
}

/** A picture's own file, seen from the output folder; undefined where no browser would show it. */
export function originalOf(out: string, path: string | undefined): string | undefined {
  if (path === undefined || /^\w+:\/\//.test(path) || !shown.test(path)) return undefined;
  return linkTo(relative(resolve(out), resolve(path)));
}

/** A path as a relative link, safe in an attribute and within `url('…')`. */
export function linkTo(path: string): string {
  const link = path
    .split(sep)
    .map((part) => encodeURIComponent(part).replaceAll("'", '%27'))
    .join('/');
  return dirname(path) === '.' && link.includes(':') ? `./${link}` : link;
}
