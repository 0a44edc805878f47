import { html, type Html } from '../../html.js';
import type { ResultLine } from './result-line.js';

/** One bar of a strip; without `value` there is a gap. */
interface Bar {
  readonly value: number | undefined;
  readonly title: string;
}

/** How much of a clip's map each frame has. */
export function frameStrip(frames: ResultLine['map']['frames']): Html | undefined {
  if (!frames || frames.length < 2) return undefined;
  const most = Math.max(...frames.map(({ energy }) => energy));
  const peak = frames.findIndex(({ energy }) => energy === most);
  const said = `Energy of the map in ${frames.length} frames; most, ${(100 * most).toFixed(0)} %, in frame ${peak + 1}`;
  const bars = frames.map(({ energy }, t) => ({
    value: energy,
    title: `frame ${t + 1}: ${(100 * energy).toFixed(1)} %`,
  }));
  return strip(bars, said);
}

/**
 * Values side by side as bars: the highest fills the strip.
 *
 * @param width of the strip in bars, where the last one stands for less than the others
 */
export function strip(bars: readonly Bar[], said: string, width = bars.length): Html {
  const most = Math.max(...bars.map(({ value = 0 }) => value)) || 1;
  const drawn = bars.map(({ value, title }, x) => {
    if (value === undefined) return undefined;
    const height = Number(((20 * value) / most).toFixed(2));
    return html`<rect x="${x}" y="${20 - height}" width="0.85" height="${height}"><title>${title}</title></rect>`;
  });
  return html`<svg class="strip" role="img" aria-label="${said}" viewBox="0 0 ${width} 20" preserveAspectRatio="none">${drawn}</svg>`;
}
