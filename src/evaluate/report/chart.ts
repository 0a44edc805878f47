import { type Html, html } from '../../html.js';
import { ticksOver, ticksWithin, tickText } from '../../ticks.js';
import { format } from './number.js';
import type { Chart, Line, Series } from './report.js';
import { seriesClass } from './summary.js';

const plot = { left: 44, top: 12, right: 348, bottom: 212 };
const viewBox = '0 0 360 256';

/** A line chart as SVG with its legend, and the numbers in a table that can be unfolded. */
export function chartFigure(chart: Chart, series: readonly Series[], id: string): Html {
  const [from, to] = [chart.x[0], chart.x[chart.x.length - 1]];
  const ticks = ticksOver(
    chart.lines.flatMap((line) => [...(line?.y ?? []), ...(line?.low ?? []), ...(line?.high ?? [])]),
  );
  const [bottom, top] = [ticks[0], ticks[ticks.length - 1]];
  const x = (value: number): number => plot.left + ((value - from) / (to - from)) * (plot.right - plot.left);
  const y = (value: number): number =>
    plot.bottom - ((value - bottom) / (top - bottom)) * (plot.bottom - plot.top);
  const point = (value: number, i: number): string => `${x(chart.x[i]).toFixed(1)},${y(value).toFixed(1)}`;
  const described = chart.lines.flatMap((line, i) => (line ? [`${series[i].name}: ${line.note}`] : []));
  return html`<figure class="chart">
<figcaption><h3>${chart.title}</h3><p>${chart.caption}</p></figcaption>
<svg viewBox="${viewBox}" role="img" aria-labelledby="${id}-title ${id}-text">
<title id="${id}-title">${chart.title}</title>
<desc id="${id}-text">${chart.yLabel} over ${chart.xLabel}. ${described.join('; ')}.</desc>
<g class="axis">
${ticks.map(
  (
    tick,
  ) => html`<line x1="${plot.left}" x2="${plot.right}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}"/><text x="${plot.left - 8}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${tickText(tick)}</text>
`,
)}${ticksWithin(from, to).map(
  (
    tick,
  ) => html`<text x="${x(tick).toFixed(1)}" y="${plot.bottom + 18}" text-anchor="middle">${tickText(tick)}</text>
`,
)}<text class="label" x="${(plot.left + plot.right) / 2}" y="${plot.bottom + 36}" text-anchor="middle">${chart.xLabel}</text>
</g>
${chart.lines.map((line, i) => line && drawLine(line, seriesClass(series, i), point))}</svg>
<ul class="legend">
${chart.lines.map(
  (line, i) =>
    line &&
    html`<li><span class="key ${seriesClass(series, i)}">${series[i].name}</span> <span class="note">${line.note}</span></li>
`,
)}</ul>
${numbers(chart, series)}</figure>
`;
}

function drawLine({ y, low, high }: Line, name: string, point: (value: number, i: number) => string): Html {
  const band =
    low && high
      ? html`<polygon points="${[...high.map(point), ...low.map(point).reverse()].join(' ')}"/>`
      : undefined;
  return html`<g class="line ${name}">${band}<polyline points="${y.map(point).join(' ')}"/></g>
`;
}

function numbers({ x, xLabel, yLabel, lines }: Chart, series: readonly Series[]): Html {
  const shown = series.filter((_, i) => lines[i]);
  return html`<details><summary>The numbers</summary>
<div class="scroll" role="region" aria-label="${yLabel} over ${xLabel}" tabindex="0"><table>
<thead><tr><th scope="col">${xLabel}</th>${shown.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>
${x.map(
  (
    value,
    i,
  ) => html`<tr><th scope="row">${format(value, 2)}</th>${lines.map((line) => line && html`<td>${format(line.y[i], 3)}</td>`)}</tr>
`,
)}</tbody></table></div></details>
`;
}
