/** Steps of 1, 2 or 5 times a power of ten that cover 0 and all values: about six of them. */
export function ticksOver(values: readonly number[]): number[] {
  const high = Math.max(0, ...values);
  const low = Math.min(0, ...values);
  const step = stepFor(high > low ? high - low : 1, 6);
  const first = Math.floor(low / step + 1e-6);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-6));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Such steps, those that lie between two values: about five of them. */
export function ticksWithin(from: number, to: number): number[] {
  const step = stepFor(to - from, 5);
  const first = Math.ceil(from / step - 1e-6);
  const last = Math.floor(to / step + 1e-6);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function stepFor(length: number, parts: number): number {
  const rough = length / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.999) ?? 10);
}

/** A tick as it is read: three digits, and a true minus. */
export function tickText(value: number): string {
  return String(Number(value.toPrecision(3))).replace('-', '−');
}
