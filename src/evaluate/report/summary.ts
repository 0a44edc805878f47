import type { Estimate } from '../statistics.js';
import { type Html, html } from '../../html.js';
import { format, formatChance, formatP } from './number.js';
import type { Breakdown, Duel, MetricRow, Series, Summary } from './report.js';

/** One row a metric: the value of every series with its interval below, the best one marked, and a strip that draws them. */
export function summaryTable(summary: Summary, series: readonly Series[]): Html {
  return html`<div class="scroll" role="region" aria-label="${summary.title}" tabindex="0">
<table class="summary ${fitsPhone(series) ? 'few' : 'many'}" style="--series: ${Math.min(series.length, 4)}">
<caption>${summary.caption}</caption>
<thead><tr><th scope="col">Metric</th>${series.map(
    ({ name }, i) => html`<th scope="col"><span class="key ${seriesClass(series, i)}">${name}</span></th>`,
  )}<th scope="col" class="strip"><span class="visually-hidden">Drawn</span></th></tr></thead>
<tbody>
${summary.metrics.map((metric) => metricRow(metric, series))}</tbody>
</table>
</div>
`;
}

/** Whether the names stand side by side on a phone; otherwise each number says whose it is. */
function fitsPhone(series: readonly Series[]): boolean {
  const longest = Math.max(...series.map(({ name }) => name.length));
  return series.length <= 4 && series.length * longest <= 48;
}

/** The class that colours a series: s0, s1, … in order, `control` for baselines. */
export function seriesClass(series: readonly Series[], index: number): string {
  if (series[index].control) return 'control';
  return `s${series.slice(0, index).filter((item) => !item.control).length % 6}`;
}

function metricRow(metric: MetricRow, series: readonly Series[]): Html {
  const best = bestOf(metric);
  return html`<tr><th scope="row">${metric.name}${metric.better && html` <span class="better" title="${metric.better} is better">${metric.better === 'lower' ? '↓' : '↑'}<span class="visually-hidden"> ${metric.better} is better</span></span>`}<span class="hint">${metric.hint}</span>${chanceOf(metric)}</th>${metric.values.map(
    (value, i) => cell(value, metric, series[i].name, i === best),
  )}<td class="strip">${strip(metric, series)}</td></tr>
`;
}

/** What a map gets that knows nothing: the number, where there is one, and where it is from. */
function chanceOf(metric: MetricRow): Html | undefined {
  const { byChance, unit } = metric;
  if (!byChance) return undefined;
  const number =
    byChance.value === undefined ? undefined : html`${formatChance(metric)}${unit && ` ${unit}`}, `;
  return html`<span class="hint chance">By chance: ${number}${byChance.text}</span>`;
}

/** `data-series` names the column where a narrow screen has no room for a row of headings. */
function cell(
  value: Estimate | undefined,
  { scale, unit, digits }: MetricRow,
  name: string,
  best: boolean,
): Html {
  if (!value || Number.isNaN(value.mean)) return html`<td data-series="${name}">–</td>`;
  const text = html`${format(value.mean * scale, digits)}${unit && html`<span class="unit"> ${unit}</span>`}`;
  const interval = Number.isNaN(value.low)
    ? undefined
    : html`<span class="interval">${format(value.low * scale, digits)} – ${format(value.high * scale, digits)}</span>`;
  return html`<td data-series="${name}">${best ? html`<strong>${text}</strong>` : text}${interval}</td>`;
}

/** The one that is better than all others; none where two of them read the same. */
function bestOf({ better, values, scale, digits }: MetricRow): number {
  if (!better) return -1;
  const means = values.map((value) => (value ? value.mean : NaN)).filter((value) => !Number.isNaN(value));
  const best = better === 'lower' ? Math.min(...means) : Math.max(...means);
  const text = (mean: number): string => format(mean * scale, digits);
  const holders = values.flatMap((value, i) => (value && text(value.mean) === text(best) ? [i] : []));
  return holders.length === 1 && means.length > 1 ? holders[0] : -1;
}

/** Intervals under one another on a common scale; the numbers stand beside it, so it is not read out. */
function strip({ values }: MetricRow, series: readonly Series[]): Html {
  const drawn = values.filter((value) => value !== undefined && Number.isFinite(value.mean));
  if (drawn.length < 2) return html``;
  const ends = (value: Estimate) => [value.low, value.mean, value.high].filter(Number.isFinite);
  const low = Math.min(...drawn.flatMap((value) => ends(value!)));
  const high = Math.max(...drawn.flatMap((value) => ends(value!)));
  if (high === low) return html``;
  const x = (value: number): string => (4 + ((value - low) / (high - low)) * 152).toFixed(1);
  const height = values.length * 9 + 3;
  const marks = values.map((value, i) => {
    if (!value || Number.isNaN(value.mean)) return undefined;
    const y = 6 + i * 9;
    const line = Number.isNaN(value.low)
      ? undefined
      : html`<line x1="${x(value.low)}" x2="${x(value.high)}" y1="${y}" y2="${y}"/>`;
    return html`<g class="${seriesClass(series, i)}">${line}<circle cx="${x(value.mean)}" cy="${y}" r="3"/></g>`;
  });
  return html`<svg viewBox="0 0 160 ${height}" width="160" height="${height}" aria-hidden="true">${marks}</svg>`;
}

/** Wins of every pair as a bar of three parts, and the test beside it. */
export function duelTable(duels: readonly Duel[], series: readonly Series[]): Html {
  const classOf = (name: string): string =>
    seriesClass(
      series,
      series.findIndex((item) => item.name === name),
    );
  const share = (value: number): string => `${format(value * 100, 1)} %`;
  return html`<div class="scroll" role="region" aria-label="Pair by pair" tabindex="0">
<table class="duels">
<caption>Pair by pair on the same pictures: who wins, and the paired permutation test of the mean difference in ${duels[0].tested}. p values are not corrected for the number of pairs.</caption>
<thead><tr><th scope="col">Pair</th><th scope="col">First wins</th><th scope="col">Ties</th><th scope="col">Second wins</th><th scope="col" class="bar"><span class="visually-hidden">Drawn</span></th><th scope="col">Difference</th><th scope="col">p</th></tr></thead>
<tbody>
${duels.map(
  ({
    a,
    b,
    wins,
    difference,
    p,
  }) => html`<tr><th scope="row"><span class="key ${classOf(a)}">${a}</span> <span class="against">against</span> <span class="key ${classOf(b)}">${b}</span></th><td data-series="First wins">${share(wins.a)}</td><td data-series="Ties">${share(wins.ties)}</td><td data-series="Second wins">${share(wins.b)}</td><td class="bar"><svg viewBox="0 0 100 10" width="140" height="14" preserveAspectRatio="none" aria-hidden="true"><rect class="${classOf(a)}" x="0" width="${(wins.a * 100).toFixed(2)}" height="10"/><rect class="${classOf(b)}" x="${(100 - wins.b * 100).toFixed(2)}" width="${(wins.b * 100).toFixed(2)}" height="10"/></svg></td><td data-series="Difference">${format(difference * 100, 1)}</td><td data-series="p">${formatP(p)}</td></tr>
`,
)}</tbody>
</table>
</div>
`;
}

/** A metric class by class, folded away. */
export function breakdownTable(breakdown: Breakdown, series: readonly Series[]): Html {
  const { title, caption, scale, unit, digits, rows } = breakdown;
  return html`<details class="breakdown"><summary>${title}</summary>
<div class="scroll" role="region" aria-label="${title}" tabindex="0">
<table>
<caption>${caption}</caption>
<thead><tr><th scope="col">Class</th><th scope="col">Pictures</th>${series.map(
    ({ name }, i) =>
      html`<th scope="col"><span class="key ${seriesClass(series, i)}">${name}</span>${unit && ` ${unit}`}</th>`,
  )}</tr></thead>
<tbody>
${rows.map(
  (
    row,
  ) => html`<tr><th scope="row">${row.class}</th><td>${row.count}</td>${row.values.map((value) => html`<td>${format(value * scale, digits)}</td>`)}</tr>
`,
)}</tbody>
</table>
</div>
</details>
`;
}
