import {
  firstOn,
  linkTo,
  originalOf,
  type PagedResults,
  pageLinks,
  writePages,
} from '../batch/results/pages.js';
import type { FailedLine } from '../batch/results/result-line.js';
import { html, type Html, page } from '../html.js';
import type { CaptionLine } from './caption-files.js';

/** What the pages of captions show. */
export interface CaptionPages extends PagedResults {
  /** Encoder and decoder, and the explained layers, for the heading. */
  readonly model: string;
  readonly layers: readonly string[];
}

type Line = CaptionLine | FailedLine;

/**
 * Writes `index.html` beside the captions of a run: every picture, its words below it, and the map of the word that is pointed at or
 * has the focus, beside what the decoder attends to.
 *
 * @returns the names of the pages; none where somebody else's has the name of one
 */
export function writeCaptionPages(pages: CaptionPages): Promise<string[]> {
  return writePages<Line>(pages, (pictures, number, count) => captionPage(pages, pictures, number, count));
}

async function captionPage(
  { out, images, model, layers }: CaptionPages,
  pictures: readonly Line[][],
  number: number,
  pages: number,
): Promise<string> {
  const failed = pictures.filter((own) => own.some((line) => 'error' in line)).length;
  const first = firstOn(number);
  const where = pages > 1 ? ` · pictures ${first} to ${first + pictures.length - 1}` : '';
  const title = `${images} ${images === 1 ? 'captioned picture' : 'captioned pictures'}`;
  const body = html`<a class="skip" href="#pictures">Skip to the pictures</a>
<header class="top">
<p class="mark">gradcampp</p>
<form class="controls" id="controls">
<label>Filter <input type="search" id="filter" placeholder="file, word or error"></label>
<output id="count" aria-live="polite"></output>
</form>
<button type="button" class="theme" id="theme" aria-label="Colours: as the system">◐</button>
</header>
<main>
<h1>${title}</h1>
<p class="lead">${model}, layer ${layers.join(', ')}${where}${failed > 0 ? ` · ${failed} failed here` : ''}</p>
<p class="lead">Point at a word, or move with the arrow keys: its map shows which places of the picture made it likely.</p>
${pageLinks(number, pages)}
<ol class="pictures" id="pictures" aria-label="Pictures">
${pictures.flat().map((line) => ('error' in line ? failure(line) : card(out, line)))}</ol>
${pageLinks(number, pages)}
</main>
`;
  return page(`${title} – gradcampp`, ['index/pictures', 'captions/captions'], body, "'self' file: data:");
}

function failure({ index, image, error }: FailedLine): Html {
  const path = image.path ?? `picture ${index}`;
  return html`<li class="picture" data-text="${`${path} ${error.message}`.toLowerCase()}">
<h2>${path}</h2>
<p class="failed">${error.message}</p>
</li>
`;
}

function card(out: string, line: CaptionLine): Html {
  const { index, image, caption, tokens, method, files } = line;
  const path = image.path ?? `picture ${index}`;
  const original = originalOf(out, image.path);
  const attention = tokens.find((token) => token.files.attention)?.files.attention;
  const said = caption.isGiven ? 'given' : 'as the network says it';
  const whole = caption.files.overlay;
  return html`<li class="picture" data-text="${`${path} ${caption.text}`.toLowerCase()}">
<h2>${path} <span class="method">${method}, caption ${said}</span></h2>
<div class="views">
${
  original &&
  html`<figure><img src="${original}" alt="${path}" loading="lazy"><figcaption>the picture</figcaption></figure>
`
}${
  whole &&
  html`<figure class="map"><img src="${linkTo(whole)}" alt="Map of the caption" loading="lazy"><figcaption>the whole caption${empty(caption.map.empty)}</figcaption></figure>
`
}${
  attention &&
  html`<figure class="attention" hidden><img src="${linkTo(attention)}" alt="What the decoder attends to"><figcaption>the decoder’s own attention</figcaption></figure>
`
}</div>
<div class="said" role="toolbar" aria-label="${`Words of the caption of ${path}`}">
${word('the whole caption', caption.logProbability / tokens.length, caption, { isFirst: true, note: 'a token' })}${tokens.map(
  (token) => word(token.token, token.logProbability, token, { continues: token.continues }),
)}</div>
<p class="links">${
    files.strip && html`<a href="${linkTo(files.strip)}">all words as a strip</a> `
  }${files.npy && html`<a href="${linkTo(files.npy)}">maps as numbers</a>`}</p>
</li>
`;
}

/** A word as a button: its map, what is attended to, and how likely it is. */
function word(
  text: string,
  logProbability: number,
  { files, map }: Pick<CaptionLine['caption'], 'files' | 'map'>,
  {
    isFirst = false,
    continues,
    note = '',
  }: { readonly isFirst?: boolean; readonly continues?: true | undefined; readonly note?: string },
): Html {
  const share = `${(100 * Math.exp(logProbability)).toFixed(1)} %`;
  const { overlay, attention } = files;
  const kind = `word${isFirst ? ' whole' : ''}${continues ? ' continues' : ''}`;
  return html`<button type="button" class="${kind}" aria-pressed="${String(isFirst)}"${isFirst ? undefined : html` tabindex="-1"`}${overlay && html` data-map="${linkTo(overlay)}"`}${attention && html` data-attention="${linkTo(attention)}"`}${map.empty ? html` data-empty="true"` : undefined}><span class="text">${text}</span> <span class="share">${share}${note && ` ${note}`}</span></button>
`;
}

function empty(isEmpty: boolean): string {
  return isEmpty ? ' · empty: nothing in the picture speaks for it' : '';
}
