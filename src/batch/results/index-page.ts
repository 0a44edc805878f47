import { html, Html, page } from '../../html.js';
import { firstOn, linkTo, originalOf, type PagedResults, pageLinks, writePages } from './pages.js';
import type { AnyLine, FailedLine, ResultLine } from './result-line.js';

/** What a run's results are, for the page that shows them. */
export interface IndexPage extends PagedResults {
  /** The model's file name and the explained layers, for the heading. */
  readonly model: string;
  readonly layers: readonly string[];
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
