import { html, Html, page } from '../../html.js';
import { firstOn, linkTo, originalOf, type PagedResults, pageLinks, writePages } from './pages.js';
import type { AnyLine, FailedLine, ResultLine } from './result-line.js';
import { frameStrip } from './strip.js';
import { extentOf, timelines, type Window, windowsOf } from './timeline.js';

/** What a run's results are, for the page that shows them. */
export interface IndexPage extends PagedResults {
  /** The model's file name and the explained layers, for the heading. */
  readonly model: string;
  readonly layers: readonly string[];
  /** Whether what is explained are videos. */
  readonly takesClips: boolean;
  /** Whether overlays cover the whole original, which can then be faded in below them. */
  readonly overOriginal: boolean;
}

/**
 * Writes `index.html` beside a run's results: every picture with the maps of its targets and methods side by side.
 *
 * @returns the names of the pages; none where somebody else's has the name of one
 */
export function writeIndexPages(index: IndexPage): Promise<string[]> {
  return writePages<AnyLine>(index, (pictures, number, pages) => indexPage(index, pictures, number, pages));
}

async function indexPage(index: IndexPage, pictures: readonly AnyLine[][], number: number, pages: number) {
  const lines = pictures.flat().filter(isResult);
  const methods = [...new Set(lines.map(({ method }) => method))];
  const failed = pictures.filter((own) => own.some((line) => 'error' in line)).length;
  const first = firstOn(number);
  const thing = thingOf(index);
  const where = pages > 1 ? ` · ${thing}s ${first} to ${first + pictures.length - 1}` : '';
  const body = html`<a class="skip" href="#pictures">Skip to the ${thing}s</a>
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
<h1>${counted(index)}</h1>
<p class="lead">${index.model}, layer ${index.layers.join(', ')}${where}${failed > 0 ? ` · ${failed} failed here` : ''}</p>
${pageLinks(number, pages)}
<ol class="pictures" id="pictures" aria-label="${thing === 'video' ? 'Videos' : 'Pictures'}">
${pictures.map((own) => card(index, own))}</ol>
${pageLinks(number, pages)}
</main>
`;
  return page(`${counted(index)} – gradcampp`, ['index/pictures', 'index/index'], body, "'self' file: data:");
}

function thingOf({ takesClips }: IndexPage): 'picture' | 'video' {
  return takesClips ? 'video' : 'picture';
}

function counted(index: IndexPage): string {
  return `${index.images} ${thingOf(index)}${index.images === 1 ? '' : 's'}`;
}

function isResult(line: AnyLine): line is ResultLine {
  return !('error' in line);
}

/** One picture: its name, and a figure for each target and method. */
function card(index: IndexPage, lines: readonly AnyLine[]): Html {
  const [{ image }] = lines;
  const windows = windowsOf(lines.filter(isResult));
  const path = (windows.size > 1 ? videoOf(image) : image.path) ?? `${thingOf(index)} ${lines[0].index}`;
  const original = index.overOriginal ? originalOf(index.out, image.path) : undefined;
  const under = original && html` style="--under: url('${original}')"`;
  const said = lines.map((line) =>
    isResult(line) ? `${line.target.name} ${line.method}` : line.error.message,
  );
  return html`<li class="picture" data-text="${`${path} ${said.join(' ')}`.toLowerCase()}"${under}>
<h2>${path}</h2>
${timelines(windows.values())}<div class="tiles">
${
  original &&
  html`<figure class="plain"><a href="${original}"><img src="${original}" alt="${path}" loading="lazy"></a><figcaption>the ${thingOf(index)}</figcaption></figure>
`
}${lines.map((line) => (isResult(line) ? figure(line, windows.get(line)) : failure(line)))}</div>
</li>
`;
}

/** The path of a window's video: a window's own has its number, too. */
function videoOf({ path }: AnyLine['image']): string | undefined {
  return path?.replace(/#\d+$/, '');
}

function failure({ error }: FailedLine): Html {
  return html`<p class="failed">${error.message}</p>
`;
}

/** @param window where the line is one of several of a video */
function figure(line: ResultLine, window: Window | undefined): Html {
  const { target, method, map, files } = line;
  const id = window && html` id="${window.id}"`;
  const file = files.overlay ?? files.cutout ?? files.map;
  const value =
    target.probability === undefined
      ? target.score.toPrecision(4)
      : `${(100 * target.probability).toFixed(1)} %`;
  const caption = html`<figcaption><b>${target.name}</b> ${value}<br>${window && html`${extentOf(line)}<br>`}<span class="method">${method}</span>${map.empty ? ' · empty' : undefined}${map.emptyBecause && html`<br>${map.emptyBecause}`}</figcaption>`;
  if (file === undefined)
    return html`<figure${id} data-method="${method}">${caption}</figure>
`;
  const source = linkTo(file);
  if (/\.(mp4|webm)$/.test(file))
    return html`<figure${id} data-method="${method}"><video src="${source}" controls loop muted playsinline preload="metadata" aria-label="${`${target.name}, ${method}`}"></video>${frameStrip(map.frames)}${caption}</figure>
`;
  const kind = files.overlay ? html` class="over"` : undefined;
  return html`<figure${id} data-method="${method}"><a href="${source}"${kind}><img src="${source}" alt="${`${target.name}, ${method}`}" loading="lazy"></a>${frameStrip(map.frames)}${caption}</figure>
`;
}
