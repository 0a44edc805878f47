const digitBits = 11;
const digits = 1 << digitBits;

/**
 * Positions from the most to the least salient. Where the map ties (all of an empty map, the zeros that a ReLU
 * leaves) the order `ties` decides, here always that of the picture's random control map, so that a map that says
 * nothing is ranked as chance is and no corner of the picture is favoured. Without it, ties are in row-major order.
 */
export function saliencyOrder(map: Float32Array, ties?: Uint32Array): Uint32Array {
  return sortDescending(map, ties ?? rowMajor(map.length));
}

function rowMajor(length: number): Uint32Array {
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  return order;
}

/** Place of every position in the order: ranks[order[i]] = i. */
export function ranksOf(order: Uint32Array): Uint32Array {
  const ranks = new Uint32Array(order.length);
  for (let i = 0; i < order.length; i++) ranks[order[i]] = i;
  return ranks;
}

/** Stable radix sort, three passes of 11 bits: a map has tens of thousands of positions. */
function sortDescending(values: Float32Array, order: Uint32Array): Uint32Array<ArrayBuffer> {
  const n = values.length;
  const bits = new Uint32Array(values.slice().buffer);
  // Float order as unsigned order, then complemented for the descending direction; −0 counts as 0.
  for (let i = 0; i < n; i++) {
    const word = values[i] === 0 ? 0 : bits[i];
    bits[i] = word & 0x8000_0000 ? word : ~word & 0x7fff_ffff;
  }
  let from = order.slice();
  let to = new Uint32Array(n);
  for (let shift = 0; shift < 32; shift += digitBits) {
    const starts = new Uint32Array(digits + 1);
    for (let i = 0; i < n; i++) starts[((bits[i] >>> shift) & (digits - 1)) + 1]++;
    for (let d = 0; d < digits; d++) starts[d + 1] += starts[d];
    for (let i = 0; i < n; i++) to[starts[(bits[from[i]] >>> shift) & (digits - 1)]++] = from[i];
    [from, to] = [to, from];
  }
  return from;
}
