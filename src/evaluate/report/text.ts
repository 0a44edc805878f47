import { visible } from '../../errors.js';
import { format, formatChance, formatP } from './number.js';
import type { MetricRow, Report } from './report.js';

/** The summary for a terminal: one line a metric, one column a series, then the pairs. */
export function reportText({ title, lead, remarks = [], series, summaries, duels }: Report): string {
  const lines = [title, lead, ...remarks];
  for (const { caption, metrics } of summaries) {
    const withChance = metrics.some(({ byChance }) => byChance?.value !== undefined);
    const rows = [
      ['', ...series.map(({ name }) => name), ...(withChance ? ['by chance'] : [])],
      ...metrics.map(({ name, unit, better, scale, digits, values, byChance }) => [
        `${name}${unit && ` ${unit}`}${better ? (better === 'lower' ? ' ↓' : ' ↑') : ''}`,
        ...values.map((value) =>
          value === undefined || Number.isNaN(value.mean)
            ? '–'
            : `${format(value.mean * scale, digits)}${Number.isNaN(value.low) ? '' : ` [${format(value.low * scale, digits)}, ${format(value.high * scale, digits)}]`}`,
        ),
        ...(withChance ? [formatChance({ byChance, scale, digits })] : []),
      ]),
    ];
    lines.push('', caption, ...columns(rows), ...chanceLines(metrics));
  }
  if (duels?.length) {
    const rows = [
      ['', 'first wins', 'ties', 'second wins', 'difference', 'p'],
      ...duels.map(({ a, b, wins, difference, p }) => [
        `${a} against ${b}`,
        ...[wins.a, wins.ties, wins.b].map((share) => `${format(share * 100, 1)} %`),
        format(difference * 100, 1),
        formatP(p),
      ]),
    ];
    lines.push('', ...columns(rows));
  }
  return `${lines.map(visible).join('\n')}\n`;
}

/** What a map that knows nothing gets in each metric, in words; metrics of the same words share a line. */
function chanceLines(metrics: readonly MetricRow[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, byChance } of metrics)
    if (byChance) {
      const text = `${byChance.isBound ? 'at most ' : ''}${byChance.text}`;
      names.set(text, [...(names.get(text) ?? []), name]);
    }
  if (names.size === 0) return [];
  return [
    '',
    'By chance, of a map that knows nothing of the picture:',
    ...[...names].map(([text, own]) => `  ${own.join(', ')}: ${text}.`),
  ];
}

/** First column to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  return rows.map((row) =>
    row
      .map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c])))
      .join('  ')
      .trimEnd(),
  );
}
