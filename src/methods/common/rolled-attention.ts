import type { Builder, Name } from '../../graph/builder.js';
import type { AttentionValues, TokenPlaces } from './evidence.js';
import type { LayerMap } from './method.js';

/** How much of each block a token takes of each other: [T, T] for a picture, from what its heads say. */
type Mixing = (block: number, image: number, to: Float64Array) => void;

/**
 * What the class token (without one: the mean of all tokens) takes of every patch in the end, through all blocks: the product
 * of their mixings, from the last to the first.
 */
export function rolledMap(attention: AttentionValues, images: number, mixing: Mixing): LayerMap {
  const { names, tokens, cells, grid, hasClassToken } = attention;
  const map = new Float64Array(images * cells.length);
  const mixed = new Float64Array(tokens * tokens);
  for (let n = 0; n < images; n++) {
    let row = new Float64Array(tokens);
    if (hasClassToken) row[0] = 1;
    else row.fill(1 / tokens);
    for (let block = names.length - 1; block >= 0; block--) {
      mixing(block, n, mixed);
      const next = new Float64Array(tokens);
      for (let i = 0; i < tokens; i++)
        for (let j = 0; j < tokens; j++) next[j] += row[i] * mixed[i * tokens + j];
      row = next;
    }
    for (let cell = 0; cell < cells.length; cell++) map[n * cells.length + cell] = row[cells[cell]];
  }
  return { by: 'map', map, dims: grid, relu: true, of: names };
}

/** The same as nodes, [N, 1, …grid]; each mixing is [N, T, T]. */
export function rolledNodes(
  b: Builder,
  { tokens, cells, grid, hasClassToken }: TokenPlaces,
  mixings: readonly Name[],
): Name {
  const first = Float64Array.from({ length: tokens }, (_, i) =>
    hasClassToken ? Number(i === 0) : 1 / tokens,
  );
  const row = mixings.reduceRight(
    (own, mixing) => b.op('MatMul', [own, mixing]),
    b.floats(first, [1, 1, tokens]),
  );
  return b.reshape(b.op('Gather', [row, b.ints(Array.from(cells))], { axis: 2 }), [-1, 1, ...grid]);
}

/** The mean over the heads of some values of each, [N, heads, T, T]. */
export function meanOverHeads(
  { length }: Float32Array,
  { images, tokens }: { readonly images: number; readonly tokens: number },
  image: number,
  value: (index: number) => number,
  to: Float64Array,
): void {
  const size = tokens * tokens;
  const heads = length / images / size;
  to.fill(0);
  for (let head = 0; head < heads; head++) {
    const at = (image * heads + head) * size;
    for (let i = 0; i < size; i++) to[i] += value(at + i) / heads;
  }
}
