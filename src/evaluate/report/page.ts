import { colormapTable } from '../../image/colormap.js';
import { chartFigure } from './chart.js';
import { html, jsonScript, page } from '../../html.js';
import type { Gallery, Report, Series } from './report.js';
import { breakdownTable, duelTable, seriesClass, summaryTable } from './summary.js';

/** The report as one HTML file: tables and curves are plain HTML and SVG, only the gallery needs the script. */
export async function reportPage(report: Report): Promise<string> {
  const { title, lead, series, summaries, duels, charts, breakdowns, gallery, provenance, remarks, notes } =
    report;
  const sections: [string, string][] = [['summary', 'Summary']];
  if (charts?.length) sections.push(['curves', 'Curves']);
  if (gallery) sections.push(['gallery', 'Pictures']);
  sections.push(['computed', 'Method']);
  const body = html`<a class="skip" href="#summary">Skip to the numbers</a>
<header class="top">
<p class="mark">gradcampp</p>
<nav aria-label="Sections"><ul>
${sections.map(
  ([id, name]) => html`<li><a href="#${id}">${name}</a></li>
`,
)}</ul></nav>
<button type="button" class="theme" id="theme" aria-label="Colours: as the system">◐</button>
</header>
<main>
<section id="summary">
<h1>${title}</h1>
<p class="lead">${lead}</p>
${
  remarks?.length
    ? html`<ul class="remarks">${remarks.map((remark) => html`<li>${remark}</li>`)}</ul>
`
    : undefined
}${summaries.map((summary, i) => html`${i > 0 ? html`<h2>${summary.title}</h2>` : undefined}${summaryTable(summary, series)}`)}${duels?.length ? duelTable(duels, series) : undefined}${breakdowns?.map((breakdown) => breakdownTable(breakdown, series))}</section>
${
  charts?.length
    ? html`<section id="curves">
<h2>Curves</h2>
<div class="charts">
${charts.map((chart, i) => chartFigure(chart, series, `chart-${i}`))}</div>
</section>
`
    : undefined
}${gallery ? gallerySection(gallery, series) : undefined}<section id="computed">
<h2>How it was computed</h2>
<ul class="notes">
${notes.map(
  (note) => html`<li>${note}</li>
`,
)}</ul>
<dl>
${provenance.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>
</section>
</main>
${gallery && jsonScript('data', galleryData(gallery, series))}`;
  return page(`${title} – gradcampp`, ['report/report'], body);
}

function gallerySection({ orders, total, items }: Gallery, series: readonly Series[]) {
  const classes = [...new Set(items.map((item) => item.class))].sort();
  const part = items.length < total ? ` ${items.length} of the ${total}, drawn at random.` : '';
  return html`<section id="gallery">
<h2>Pictures</h2>
<p>Each picture as the network saw it, and what each of ${series.map((item) => item.name).join(', ')} marks in it.${part}</p>
<form class="controls" id="controls">
<label>Sort by <select id="order">
<option value="-1">name</option>
${orders.map(
  ({ title }, i) => html`<option value="${i}">${title}</option>
`,
)}</select></label>
<label>Class <select id="class"><option value="">all</option>
${classes.map(
  (name) => html`<option>${name}</option>
`,
)}</select></label>
<label>Opacity <input type="range" id="opacity" min="0" max="100" value="55" aria-describedby="keys"></label>
<output id="count" aria-live="polite"></output>
</form>
<p class="keys" id="keys">Keys in the list: <kbd>↓</kbd> <kbd>↑</kbd> next and previous picture, <kbd>Enter</kbd> enlarge, <kbd>+</kbd> <kbd>−</kbd> opacity.</p>
<ol class="pictures" id="pictures" aria-label="Pictures"></ol>
<button type="button" class="more" id="more">Show more</button>
<noscript><p>The pictures need JavaScript; the numbers do not.</p></noscript>
<dialog id="large" aria-labelledby="large-title">
<header><h3 id="large-title"></h3><button type="button" id="close" aria-label="Close">×</button></header>
<div id="large-tiles" class="tiles"></div>
<footer><button type="button" id="previous">← Previous</button><button type="button" id="next">Next →</button></footer>
</dialog>
</section>
`;
}

/** What the script needs, short keys because there is one of each a picture. */
function galleryData({ orders, items, aspect, pixelated }: Gallery, series: readonly Series[]) {
  return {
    series: series.map(({ name }, i) => ({ name, style: seriesClass(series, i) })),
    ascending: orders.map((order) => order.ascending ?? false),
    aspect,
    pixelated: pixelated ?? false,
    colors: Buffer.from(colormapTable('turbo')).toString('base64'),
    items: items.map((item) => ({
      n: item.name,
      c: item.class,
      t: item.caption,
      p: item.picture,
      v: item.values.map((value) => (Number.isNaN(value) ? null : Number(value.toPrecision(5)))),
      m: item.maps.map((map) => ({
        w: map.width,
        d: Buffer.from(map.data).toString('base64'),
        s: map.score,
      })),
      ...(item.boxes ? { b: item.boxes.map((box) => box.map((edge) => Number(edge.toFixed(4)))) } : {}),
    })),
  };
}
