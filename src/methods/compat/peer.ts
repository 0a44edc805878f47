import type { SettingsOf, Stage } from '../../options.js';
import { sizeOf } from '../../tensor.js';
import { chosenChannels } from '../common/channel-limit.js';
import { picturesOf } from '../eigen-cam.js';
import type { Change, Evidence, LayerValues } from '../common/evidence.js';
import { maskPicture, wholeMask } from '../common/masked-pictures.js';

/**
 * Another package, whose numbers are given as they are, so that people who move here can check their old ones: its formula, its
 * eps, its normalisation and its interpolation. Computed in float64 from float32 activations and gradients, where the package
 * computes in float32.
 */
export interface Peer {
  /** Those of its methods that we have, by our names. */
  readonly methods: Readonly<Record<string, PeerMethod>>;
  /** The modifiers that it has. */
  readonly modifiers: readonly ('aug' | 'eigen')[];
  /** How many axes a map can have. */
  readonly axes: readonly number[];
  /** What becomes of the maps of one layer or several, [N, …size] each; absent: it explains one layer, and its map stays as it is. */
  readonly merge?: (maps: readonly Float32Array[], images: number) => Float32Array;
}

export interface PeerMethod {
  /** The method's own options that it has too. */
  readonly options: readonly string[];
  /** Of one target. `settings` may also hold the modifier `eigen`. */
  readonly maps: (evidence: Evidence, settings: PeerSettings) => Promise<PeerMaps>;
}

export type PeerSettings = SettingsOf<Stage> & { readonly eigen?: boolean; readonly channels?: number };

export interface PeerMaps {
  /** [N, …size] */
  readonly maps: Float32Array;
  /** At layer size, [N, …layer]. */
  readonly raw?: Float32Array;
}

/** A method of one of the packages. */
export function peerMethod(maps: PeerMethod['maps'], options: readonly string[] = []): PeerMethod {
  return { maps, options };
}

/** f(A_k, g_k) of every channel of every picture, [N, K]. */
export function ofChannels(
  { activations, dims }: LayerValues,
  gradients: Float32Array,
  f: (activations: Float32Array, gradients: Float32Array) => number,
): Float64Array {
  const P = sizeOf(dims);
  return Float64Array.from({ length: activations.length / P }, (_, plane) =>
    f(activations.subarray(plane * P, (plane + 1) * P), gradients.subarray(plane * P, (plane + 1) * P)),
  );
}

/** w_k A_k of weights [N, K], or w_k ⊙ A_k of weights [N, K, P]: [N, K, P]. */
export function weighted({ activations }: LayerValues, weights: ArrayLike<number>): Float64Array {
  const step = activations.length / weights.length;
  return Float64Array.from(activations, (value, i) => value * weights[Math.floor(i / step)]);
}

/** Σ_k of each picture's weighted channels: N maps of P. */
export function sumsOf({ channels, dims }: LayerValues, values: Float64Array): Float64Array[] {
  const P = sizeOf(dims);
  return Array.from({ length: values.length / (channels * P) }, (_, n) => {
    const sum = new Float64Array(P);
    for (let i = 0; i < channels * P; i++) sum[i % P] += values[n * channels * P + i];
    return sum;
  });
}

/** (x − min) / (max − min + eps) */
export function minMax<T extends Float64Array | Float32Array>(values: T, eps: number): T {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [least, most] = [Math.min(least, value), Math.max(most, value)];
  return values.map((value) => (value - least) / (most - least + eps)) as T;
}

export function relu(values: Float64Array): Float64Array {
  return values.map((value) => Math.max(0, value));
}

/** Maps of the pictures as one array. */
export function together(maps: readonly ArrayLike<number>[]): Float32Array {
  const all = new Float32Array(maps.reduce((length, map) => length + map.length, 0));
  let at = 0;
  for (const map of maps) {
    all.set(map, at);
    at += map.length;
  }
  return all;
}

/** What the target comes to where the picture is under the mask of each channel, [N, K]; −∞ for channels that are left out. */
export async function scoresUnder(
  evidence: Evidence,
  maskOf: (channel: Float64Array) => Float64Array,
  { as, channels: most }: { readonly as?: 'probability'; readonly channels?: number } = {},
): Promise<Float64Array> {
  const { layer, images } = evidence;
  const P = sizeOf(layer.dims);
  const scores = new Float64Array(images * layer.channels).fill(Number.NEGATIVE_INFINITY);
  const changes: Change[] = [];
  for (const [n, picture] of picturesOf(layer, layer.activations).entries())
    for (const k of chosenChannels(picture, layer, most))
      changes.push({
        of: n,
        fill: (out) => {
          const channel = Float64Array.from(picture.subarray(k * P, (k + 1) * P));
          maskPicture(evidence, n, wholeMask(maskOf(channel)), out);
        },
        take: (value) => {
          scores[n * layer.channels + k] = value;
        },
      });
  await evidence.pass(changes, as);
  return scores;
}

/** Each picture's row of [N, K], changed. */
export function byRow(
  values: Float64Array,
  { channels }: LayerValues,
  change: (row: Float64Array) => Float64Array,
): Float64Array {
  const rows = new Float64Array(values.length);
  for (let at = 0; at < values.length; at += channels)
    rows.set(change(values.subarray(at, at + channels)), at);
  return rows;
}
