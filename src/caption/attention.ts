import { tokenCells } from '../explain/layout.js';
import type { NetworkExplainer } from '../explain/network-explainer.js';
import type { Layout } from '../graph/tokens.js';
import { computeReference } from '../map/reference.js';
import type { Row } from '../targets/target.js';
import { sizeOf } from '../tensor.js';
import type { AttentionMap } from './caption-explanation.js';
import type { Decoder } from './decoder.js';

/** Values that hold what is attended to for each token, and where their places lie in the picture. */
export interface ReadAttention {
  readonly names: readonly string[];
  readonly layout: Layout;
  /** Places, class token and registers counted. */
  readonly places: number;
}

/**
 * Where the places lie that the decoder attends to; undefined where it attends to none, or where they are not those of a layer.
 *
 * @param names the values that hold it
 */
export function attentionOf(
  { network, scores, options }: NetworkExplainer,
  names: readonly string[],
  { encoded }: Pick<Decoder, 'encoded'>,
): ReadAttention | undefined {
  if (names.length === 0) return undefined;
  const { tokens } = options;
  const sources = new Set(encoded.values());
  const layers = network.layers(scores, tokens).filter(({ layout }) => layout.grid.every(isNumber));
  const layer = layers.find(({ name }) => sources.has(name)) ?? layers[0];
  if (!layer) return undefined;
  const { layout } = layer;
  return { names, layout, places: sizeOf(layout.grid as number[]) + layout.prefix + layout.suffix };
}

const isNumber = (value: unknown): value is number => typeof value === 'number';

/** The mean over layers and heads, for each token; undefined where the values have other places. */
export function attentionMaps(
  { names, layout, places }: ReadAttention,
  values: ReadonlyMap<string, Row>,
  { length, size }: { readonly length: number; readonly size: readonly number[] },
): AttentionMap[] | undefined {
  const fitting = names.flatMap((name) => {
    const row = values.get(name);
    return row && headsOf(row, length, places) ? [row] : [];
  });
  if (fitting.length === 0) return undefined;
  const { grid, cells } = tokenCells({ ...layout, batchAxis: 0, channelAxis: 2 }, places, names[0]);
  return Array.from({ length }, (_, t) => {
    const mean = new Float64Array(places);
    for (const row of fitting) {
      const { before, behind } = headsOf(row, length, places) as Heads;
      const weight = 1 / (before * behind * fitting.length);
      for (let head = 0; head < before; head++)
        for (let own = 0; own < behind; own++) {
          const at = ((head * length + t) * behind + own) * places;
          for (let place = 0; place < places; place++) mean[place] += weight * row.data[at + place];
        }
    }
    const weights = Float32Array.from(cells, (cell) => mean[cell]);
    const { maps } = computeReference({
      method: 'cam',
      weights: [Float32Array.of(1)],
      gradients: [],
      activations: weights,
      images: 1,
      channels: 1,
      layer: grid,
      size,
    } as never);
    return { data: maps[0], dims: size, weights: { data: weights, dims: grid } };
  });
}

interface Heads {
  /** Heads before the axis of tokens, and behind it. */
  readonly before: number;
  readonly behind: number;
}

/** [heads, length, places], [length, places] or [length, heads, …, places]; undefined where it is neither. */
function headsOf({ dims, data }: Row, length: number, places: number): Heads | undefined {
  const whole = data.length / (length * places);
  if (!Number.isInteger(whole) || whole === 0) return undefined;
  if (dims.length === 3 && dims[1] === length && dims[2] === places) return { before: whole, behind: 1 };
  return dims[0] === length ? { before: 1, behind: whole } : undefined;
}
