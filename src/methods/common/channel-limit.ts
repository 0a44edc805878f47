import { count } from '../../options.js';
import { sizeOf } from '../../tensor.js';
import type { LayerValues } from './evidence.js';
import type { Facts } from './method.js';

/** Only so many channels, those of the largest variance in the picture; default: all. */
export const channels = count({
  from: 1,
  help: 'only the n channels of largest variance',
  otherwise: 'all',
  flag: '--channels <n>',
});

/** The channels of a picture [K, …dims] that a method looks at, ascending: all, or the `most` of largest variance. */
export function chosenChannels(
  picture: Float32Array,
  { channels, dims }: LayerValues,
  most = channels,
): number[] {
  const positions = sizeOf(dims);
  const all = Array.from({ length: channels }, (_, k) => k);
  if (most >= channels) return all;
  const variances = all.map((k) => varianceOf(picture.subarray(k * positions, (k + 1) * positions)));
  return all
    .sort((a, b) => variances[b] - variances[a] || a - b)
    .slice(0, most)
    .sort((a, b) => a - b);
}

function varianceOf(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
}

/** What a result says of the limit; nothing where there was none. */
export function limitFacts(
  { channels }: LayerValues,
  most: number | undefined,
  images: number,
): Facts[] | undefined {
  if (most === undefined || most >= channels) return undefined;
  return Array.from({ length: images }, () => ({ channels: most, channelsOfLayer: channels }));
}
