/** `(value · range / 255 − mean) / std`, each step rounded to float32 as torchvision's ToTensor and Normalize do. */
export interface Normalization {
  readonly range: 1 | 255;
  /** One number a channel of the output, in its order. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** For each channel of the output the channel of the source: [2, 1, 0] makes BGR of RGB. */
  readonly order: readonly number[];
}

/** [H, W, C] in 0…255 → [C, H, W]. */
export function normalizeToCHW(
  source: Uint8Array | Float32Array,
  steps: Normalization,
  out: Float32Array,
): void {
  const positions = source.length / steps.order.length;
  for (let c = 0; c < steps.order.length; c++) normalizeChannel(source, steps, c, out, c * positions, 1);
}

/** [H, W, C] in 0…255 → [H, W, C]. */
export function normalizeToHWC(
  source: Uint8Array | Float32Array,
  steps: Normalization,
  out: Float32Array,
): void {
  for (let c = 0; c < steps.order.length; c++) normalizeChannel(source, steps, c, out, c, steps.order.length);
}

function normalizeChannel(
  source: Uint8Array | Float32Array,
  { range, mean, std, order }: Normalization,
  channel: number,
  out: Float32Array,
  start: number,
  step: number,
): void {
  const divisor = 255 / range;
  const [shift, scale] = [Math.fround(mean[channel]), Math.fround(std[channel])];
  if (source instanceof Uint8Array) {
    const table = new Float32Array(256);
    for (let value = 0; value < 256; value++)
      table[value] = Math.fround(Math.fround(value / divisor) - shift) / scale;
    lookUp(source, order[channel], order.length, table, out, start, step);
  } else {
    for (let p = order[channel], o = start; p < source.length; p += order.length, o += step)
      out[o] = Math.fround(Math.fround(source[p] / divisor) - shift) / scale;
  }
}

function lookUp(
  source: Uint8Array,
  first: number,
  stride: number,
  table: Float32Array,
  out: Float32Array,
  start: number,
  step: number,
): void {
  for (let p = first, o = start; p < source.length; p += stride, o += step) out[o] = table[source[p]];
}
