import type { MetricRow } from './report.js';

/** A number for people: fixed digits, a true minus sign, a dash where there is none. */
export function format(value: number | undefined, digits: number): string {
  if (value === undefined || !Number.isFinite(value)) return '–';
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace('-', '') : text).replace('-', '−');
}

/** What chance gives, such as "≤ 0.312"; a dash where it is no fixed number. */
export function formatChance({
  byChance,
  scale,
  digits,
}: Pick<MetricRow, 'byChance' | 'scale' | 'digits'>): string {
  if (byChance?.value === undefined) return '–';
  return `${byChance.isBound ? '≤ ' : ''}${format(byChance.value * scale, digits)}`;
}

/** A p value: "< 0.001" below that. */
export function formatP(p: number): string {
  if (!Number.isFinite(p)) return '–';
  return p < 0.001 ? '< 0.001' : format(p, 3);
}
