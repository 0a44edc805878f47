import { html, type Html } from '../../html.js';
import { ticksOver, ticksWithin, tickText } from '../../ticks.js';
import type { ResultLine } from './result-line.js';
import { strip } from './strip.js';

/** One of the clips that a video was explained as, and the id of its figure on the page. */
export interface Window {
  readonly line: ResultLine;
  readonly id: string;
}

/** Bars of a chart at most: in a longer video each is the mean of several frames. */
const mostBars = 300;

/** The lines of a picture that are windows over a video, by line; empty for pictures and videos of one clip. */
export function windowsOf(lines: readonly ResultLine[]): Map<ResultLine, Window> {
  const own = lines.filter(({ image }) => image.clip?.number !== undefined);
  return new Map(own.map((line, i) => [line, { line, id: `clip-${line.index}-${i}` }]));
}

/** From when to when a window is, in seconds, or in frames where the video's rate is unknown. */
export function extentOf(line: ResultLine): string {
  const { rate } = framesOf(line);
  const [from, to] = extent(line).map((frame) => (rate ? roundTo(frame / rate, 2) : frame));
  return `${from} to ${to} ${unitOf(rate)}`;
}

/**
 * Charts over the whole time line of a video that was explained as several clips: one for each method, and for each target where a
 * window has several.
 */
export function timelines(windows: Iterable<Window>): Html[] {
  const charts = new Map<string, { rank: number; windows: Window[] }>();
  const seen = new Map<string, number>(); // of each clip and method, how many targets came before
  for (const window of windows) {
    const { image, method } = window.line;
    const clip = `${image.clip?.number} ${method}`;
    const rank = (seen.get(clip) ?? 0) + 1;
    seen.set(clip, rank);
    const key = `${rank} ${method}`;
    const chart = charts.get(key) ?? { rank, windows: [] };
    chart.windows.push(window);
    charts.set(key, chart);
  }
  const isOver = ({ windows }: { windows: Window[] }) => windows.length > 1;
  return [...charts.values()].filter(isOver).map(({ rank, windows }) => timeline(windows, rank));
}

/** @param rank which target of each window, from 1 */
function timeline(windows: readonly Window[], rank: number): Html {
  const { method } = windows[0].line;
  const { rate } = framesOf(windows[0].line);
  const total = Math.max(...windows.map(({ line }) => extent(line)[1]));
  const duration = rate ? total / rate : total;
  const names = [...new Set(windows.map(({ line }) => line.target.name))];
  const value = windows.every(({ line }) => line.target.probability !== undefined) ? 'probability' : 'score';
  const energies = energyOver(windows, total);
  const ticks = ticksWithin(0, duration);
  return html`<figure class="timeline" data-method="${method}">
<figcaption><b>${windows.length} windows</b> · ${names.length === 1 ? names[0] : 'each with its own class'}${rank > 1 ? `, target ${rank}` : undefined} · <span class="method">${method}</span></figcaption>
${scores(windows, value, total)}
${energies && energyStrip(energies, rate)}
<div class="axis" aria-hidden="true">${ticks.map((tick) => tickMark(tick, duration, unitOf(rate)))}</div>
${table(windows, value)}</figure>
`;
}

/** The first one has the unit; none reaches over the chart's ends. */
function tickMark(tick: number, duration: number, unit: string): Html {
  const left = roundTo((100 * tick) / duration, 2);
  const side = left > 96 ? html` class="last"` : undefined;
  return html`<span style="left: ${left}%"${side}>${tickText(tick)}${tick === 0 ? ` ${unit}` : undefined}</span>`;
}

/** Each window as a line from its begin to its end, at the height of its score, with a dot that leads to its figure. */
function scores(windows: readonly Window[], value: 'probability' | 'score', total: number): Html {
  const ticks = value === 'probability' ? [0, 1] : ticksOver(windows.map(({ line }) => line.target.score));
  const [bottom, top] = [ticks[0], ticks[ticks.length - 1]];
  const y = (number: number) => roundTo(100 - (100 * (number - bottom)) / (top - bottom), 2);
  const lines: Html[] = [];
  const dots: Html[] = [];
  for (const { line, id } of windows) {
    const [from, to] = extent(line);
    const height = y(line.target[value] as number);
    const title = `${extentOf(line)}: ${line.target.name} ${valueOf(line, value)}`;
    lines.push(html`<path d="M${from} ${height}H${to}"/>`);
    dots.push(
      html`<a href="#${id}" tabindex="-1"><title>${title}</title><path class="dot" d="M${(from + to) / 2} ${height}h0"/></a>`,
    );
  }
  const text = (number: number) => (value === 'probability' ? `${100 * number} %` : tickText(number));
  // The table says the same, and its links are reached by the keyboard.
  return html`<p class="label" aria-hidden="true">${value}, ${text(bottom)} to ${text(top)}</p>
<svg class="scores${windows.length > 100 ? ' many' : undefined}" aria-hidden="true" viewBox="0 0 ${total} 100" preserveAspectRatio="none">${lines}${dots}</svg>`;
}

/**
 * Of each frame of the video its share of a window's map, and of several windows' the mean; undefined where none has seen it. A
 * frame stands for those up to the window's next one.
 */
function energyOver(windows: readonly Window[], total: number): (number | undefined)[] | undefined {
  if (windows.some(({ line }) => !line.map.frames)) return undefined;
  const sums = new Float64Array(total);
  const counts = new Uint32Array(total);
  for (const { line } of windows) {
    const { start, interval, count, span } = framesOf(line);
    // What a window was filled up with, behind the video's end, is not on the time line.
    for (const [t, { energy }] of (line.map.frames ?? []).slice(0, count).entries())
      for (let frame = start + t * interval; frame < start + Math.min((t + 1) * interval, span); frame++) {
        sums[frame] += energy;
        counts[frame]++;
      }
  }
  return Array.from(sums, (sum, frame) => (counts[frame] > 0 ? sum / counts[frame] : undefined));
}

function energyStrip(energies: readonly (number | undefined)[], rate: number | undefined): Html {
  const perBar = Math.ceil(energies.length / mostBars);
  const place = (frame: number) => `${rate ? roundTo(frame / rate, 2) : frame} ${unitOf(rate)}`;
  const bars = Array.from({ length: Math.ceil(energies.length / perBar) }, (_, i) => {
    const own = energies.slice(i * perBar, (i + 1) * perBar).filter((energy) => energy !== undefined);
    const value = own.length > 0 ? own.reduce((sum, energy) => sum + energy, 0) / own.length : undefined;
    return { value, title: `${place(i * perBar)}: ${percent(value ?? 0)}` };
  });
  const most = Math.max(...bars.map(({ value = 0 }) => value));
  const peak = bars.findIndex(({ value }) => value === most);
  const said = `Energy of the map over ${place(energies.length)}; most, ${percent(most)} of its window, at ${place(peak * perBar)}`;
  return html`<p class="label" aria-hidden="true">energy, a frame's share of its window's map, 0 to ${percent(most)}</p>
${strip(bars, said, energies.length / perBar)}`;
}

function table(windows: readonly Window[], value: 'probability' | 'score'): Html {
  return html`<details><summary>The numbers</summary>
<div class="scroll" role="region" aria-label="Windows over the video" tabindex="0"><table>
<thead><tr><th scope="col">Window</th><th scope="col">Class</th><th scope="col">${value}</th><th scope="col">Most energy</th></tr></thead>
<tbody>
${windows.map(
  ({ line, id }) =>
    html`<tr><th scope="row"><a href="#${id}">${extentOf(line)}</a></th><td>${line.target.name}</td><td>${valueOf(line, value)}</td><td>${peakOf(line)}</td></tr>
`,
)}</tbody></table></div></details>
`;
}

/** Which frame of the video has most of a window's map, and how much. */
function peakOf({ map, image }: ResultLine): string {
  if (map.empty) return 'empty map';
  const { start, interval, count, rate } = framesOf({ image });
  const energies = (map.frames ?? []).slice(0, count).map(({ energy }) => energy);
  if (energies.length === 0) return '–';
  const most = Math.max(...energies);
  const frame = start + energies.indexOf(most) * interval;
  return `${percent(most)} at ${rate ? roundTo(frame / rate, 2) : frame} ${unitOf(rate)}`;
}

function valueOf({ target }: ResultLine, value: 'probability' | 'score'): string {
  return value === 'probability' ? percent(target.probability ?? 0) : target.score.toPrecision(4);
}

/** The first frame of a window in its video, and the one behind what its last stands for. */
function extent(line: ResultLine): [number, number] {
  const { start, span } = framesOf(line);
  return [start, start + span];
}

function framesOf({ image }: Pick<ResultLine, 'image'>) {
  return image.clip ?? { start: 0, interval: 1, count: 1, span: 1, rate: undefined };
}

function unitOf(rate: number | undefined): string {
  return rate ? 's' : 'frames';
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function roundTo(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
