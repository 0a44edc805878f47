import { oneOf } from '../check.js';
import { tables } from './tables/colormaps.js';

export const colormaps = Object.keys(tables) as (keyof typeof tables)[];
export type Colormap = keyof typeof tables;

const decoded = new Map<Colormap, Uint8Array>();

/** A table's 256 sRGB colours, 768 bytes. The array is shared: read it only. */
export function colormapTable(name: Colormap): Uint8Array {
  let table = decoded.get(oneOf('colormap', name, colormaps));
  if (!table) {
    const hex = tables[name];
    table = Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
      Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
    );
    decoded.set(name, table);
  }
  return table;
}
