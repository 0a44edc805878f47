import { createReadStream } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { createInterface } from 'node:readline';
import { html, Html, page } from '../../html.js';
import type { AnyLine, FailedLine, ResultLine } from './result-line.js';

/** Pictures on one page. */
const pageSize = 100;

/** Formats that browsers show. */
const shown = /\.(jpe?g|png|gif|webp|avif|bmp|svg)$/i;

/** What a run's results are, for the page that shows them. */
export interface IndexPage {
  /** The output folder, and its results.jsonl. */
  readonly out: string;
  readonly results: string;
  /** Pictures of the run. */
  readonly images: number;
  /** The model's file name and the explained layers, for the heading. */
  readonly model: string;
  readonly layers: readonly string[];
  /** Whether overlays cover the whole original, which can then be faded in below them. */
  readonly overOriginal: boolean;
  /** Files of the folder that are none of the run's. */
  readonly others: ReadonlySet<string>;
}

/**
 * Writes `index.html` beside a run's results, and `index-2.html` … where there are more pictures than one page holds: every
 * picture with the maps of its targets and methods side by side. Files are linked, never copied; only what is on a page is
 * held in memory.
 *
 * @returns the names of the pages; none where somebody else's has the name of one
 */
export async function writeIndexPages(index: IndexPage): Promise<string[]> {
  if ([...index.others].some((name) => indexName.test(name))) return [];
  await removeIndexPages(index.out);
  const pages = Math.max(1, Math.ceil(index.images / pageSize));
  let number = 1;
  let group: AnyLine[][] = [];
  const flush = async () => {
    await writeFile(join(index.out, nameOf(number)), await indexPage(index, group, number, pages));
    number++;
    group = [];
  };
  for await (const picture of picturesIn(index.results)) {
    if (group.length === pageSize) await flush();
    group.push(picture);
  }
  await flush();
  return Array.from({ length: pages }, (_, i) => nameOf(i + 1));
}

/** Pages of a run that was cut off while it wrote them. */
async function removeIndexPages(out: string): Promise<void> {
  for (const name of await readdir(out)) if (indexName.test(name)) await rm(join(out, name));
}

const indexName = /^index(-\d+)?\.html$/;

function nameOf(number: number): string {
  return number === 1 ? 'index.html' : `index-${number}.html`;
}

/** The lines of each picture together. */
async function* picturesIn(results: string): AsyncGenerator<AnyLine[]> {
  let lines: AnyLine[] = [];
  for await (const text of createInterface({ input: createReadStream(results) })) {
    const line = JSON.parse(text) as AnyLine;
    if (lines.length > 0 && lines[0].index !== line.index) {
      yield lines;
      lines = [];
    }
    lines.push(line);
  }
  if (lines.length > 0) yield lines;
}

async function indexPage(index: IndexPage, pictures: readonly AnyLine[][], number: number, pages: number) {
  const lines = pictures.flat().filter(isResult);
  const methods = [...new Set(lines.map(({ method }) => method))];
  const failed = pictures.filter((own) => own.some((line) => 'error' in line)).length;
  const first = (number - 1) * pageSize + 1;
  const where = pages > 1 ? ` · pictures ${first} to ${first + pictures.length - 1}` : '';
  const body = html`<a class="skip" href="#pictures">Skip to the pictures</a>
<header class="top">
<p class="mark">gradcampp</p>
<form class="controls" id="controls">
<label>Filter <input type="search" id="filter" placeholder="file, class or error"></label>
<label>Method <select id="method"><option value="">all</option>${methods.map((name) => html`<option>${name}</option>`)}</select></label>
<label>Opacity <input type="range" id="opacity" min="0" max="100" value="100"></label>
<output id="count" aria-live="polite"></output>
</form>
<button type="button" class="theme" id="theme" aria-label="Colours: as the system">◐</button>
</header>
<main>
<h1>${index.images} ${index.images === 1 ? 'picture' : 'pictures'}</h1>
<p class="lead">${index.model}, layer ${index.layers.join(', ')}${where}${failed > 0 ? ` · ${failed} failed here` : ''}</p>
${pageLinks(number, pages)}
<ol class="pictures" id="pictures" aria-label="Pictures">
${pictures.map((own) => card(index, own))}</ol>
${pageLinks(number, pages)}
</main>
`;
  return page(`${index.images} pictures – gradcampp`, 'index/index', body, "'self' file: data:");
}

function pageLinks(number: number, pages: number): Html | undefined {
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

function isResult(line: AnyLine): line is ResultLine {
  return !('error' in line);
}

/** One picture: its name, and a figure for each target and method. */
function card(index: IndexPage, lines: readonly AnyLine[]): Html {
  const [{ image }] = lines;
  const path = image.path ?? `picture ${lines[0].index}`;
  const original = index.overOriginal ? originalOf(index.out, image.path) : undefined;
  const under = original && html` style="--under: url('${original}')"`;
  const said = lines.map((line) =>
    isResult(line) ? `${line.target.name} ${line.method}` : line.error.message,
  );
  return html`<li class="picture" data-text="${`${path} ${said.join(' ')}`.toLowerCase()}"${under}>
<h2>${path}</h2>
<div class="tiles">
${
  original &&
  html`<figure class="plain"><a href="${original}"><img src="${original}" alt="${path}" loading="lazy"></a><figcaption>the picture</figcaption></figure>
`
}${lines.map((line) => (isResult(line) ? figure(line) : failure(line)))}</div>
</li>
`;
}

function failure({ error }: FailedLine): Html {
  return html`<p class="failed">${error.message}</p>
`;
}

function figure({ target, method, map, files }: ResultLine): Html {
  const file = files.overlay ?? files.cutout ?? files.map;
  const value =
    target.probability === undefined
      ? target.score.toPrecision(4)
      : `${(100 * target.probability).toFixed(1)} %`;
  const caption = html`<figcaption><b>${target.name}</b> ${value}<br><span class="method">${method}</span>${map.empty ? ' · empty' : undefined}${map.emptyBecause && html`<br>${map.emptyBecause}`}</figcaption>`;
  if (file === undefined)
    return html`<figure data-method="${method}">${caption}</figure>
`;
  const source = linkTo(file);
  if (/\.(mp4|webm)$/.test(file))
    return html`<figure data-method="${method}"><video src="${source}" controls loop muted playsinline preload="metadata" aria-label="${`${target.name}, ${method}`}"></video>${strip(map.frames)}${caption}</figure>
`;
  const kind = files.overlay ? html` class="over"` : undefined;
  return html`<figure data-method="${method}"><a href="${source}"${kind}><img src="${source}" alt="${`${target.name}, ${method}`}" loading="lazy"></a>${strip(map.frames)}${caption}</figure>
`;
}

/** How much of a clip's map each frame has, as bars: the highest fills the strip. */
function strip(frames: ResultLine['map']['frames']): Html | undefined {
  if (!frames || frames.length < 2) return undefined;
  const most = Math.max(...frames.map(({ energy }) => energy)) || 1;
  const peak = frames.findIndex(({ energy }) => energy === most);
  const said = `Energy of the map in ${frames.length} frames; most, ${(100 * most).toFixed(0)} %, in frame ${peak + 1}`;
  const bars = frames.map(({ energy }, t) => {
    const height = Number(((20 * energy) / most).toFixed(2));
    return html`<rect x="${t}" y="${20 - height}" width="0.85" height="${height}"><title>frame ${t + 1}: ${(100 * energy).toFixed(1)} %</title></rect>`;
  });
  return html`<svg class="strip" role="img" aria-label="${said}" viewBox="0 0 ${frames.length} 20" preserveAspectRatio="none">${bars}</svg>`;
}

/** A picture's own file, seen from the output folder; undefined where no browser would show it. */
function originalOf(out: string, path: string | undefined): string | undefined {
  if (path === undefined || !shown.test(path)) return undefined;
  return linkTo(relative(resolve(out), resolve(path)));
}

/** A path as a relative link, safe in an attribute and within `url('…')`. */
function linkTo(path: string): string {
  const link = path
    .split(sep)
    .map((part) => encodeURIComponent(part).replaceAll("'", '%27'))
    .join('/');
  return dirname(path) === '.' && link.includes(':') ? `./${link}` : link;
}
