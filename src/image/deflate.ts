/**
 * PNG's compression for photographs under a heat map: rows filtered with "Average", and what is left Huffman coded
 * without looking for repetitions (RFC 1950, RFC 1951). The two loops over bytes are kernels; the code is made here.
 */

/**
 * Rows behind a filter byte 3, each byte less the mean of those on its left and above.
 * @param counts 256 numbers: how often each byte of `out` occurs in every fourth row (0, 5, 8, 13 …, so that no pattern of
 * four hides) is written there
 * @param out rows · (row + 1) bytes
 * @returns Adler-32 of `out`
 */
export function filterAverage(
  data: Uint8Array,
  row: number,
  rows: number,
  channels: number,
  out: Uint8Array,
  counts: Uint32Array,
): number {
  counts.fill(0);
  let [low, high] = [1, 0];
  for (let y = 0, p = 0, o = 0; y < rows; y++) {
    const start = o;
    out[o++] = 3;
    for (let i = 0; i < row; i++, p++, o++) {
      const left = i < channels ? 0 : data[p - channels];
      out[o] = data[p] - ((left + (y > 0 ? data[p - row] : 0)) >> 1);
    }
    if (y % 8 === 0 || y % 8 === 5) for (let i = start; i < o; i++) counts[out[i]]++;
    for (let i = start; i < o; ) {
      for (const end = Math.min(i + 5552, o); i < end; i++) {
        low += out[i];
        high += low;
      }
      low %= 65_521;
      high %= 65_521;
    }
  }
  return high * 65_536 + low;
}

/**
 * Writes the codes of bytes one behind another, lowest bit first.
 * @param codes of each byte: its code, first bit lowest, and in the upper 16 bits the length, 0 to 14
 * @param at the bit of `out` to begin at
 * @returns the bit behind the last
 */
export function packCodes(bytes: Uint8Array, codes: Uint32Array, out: Uint8Array, at: number): number {
  let o = at >>> 3;
  let held = at & 7;
  let bits = out[o] & ((1 << held) - 1);
  for (let i = 0; i < bytes.length; i++) {
    const code = codes[bytes[i]];
    bits |= (code & 0xffff) << held;
    for (held += code >>> 16; held >= 8; held -= 8) {
      out[o++] = bits;
      bits >>>= 8;
    }
  }
  if (held > 0) out[o] = bits;
  return 8 * o + held;
}

const longest = 14; // deflate has 15; four of 14 bits fit into 64 with what is left of a byte
const end = 256;
/** Bytes that are enough for all but the codes of the bytes. */
const headSize = 256;

/** A zlib stream of one block without repetitions. `counts` are about in proportion to the bytes', `adler` is theirs. */
export function deflateLiterals(
  bytes: Uint8Array,
  counts: Uint32Array,
  adler: number,
  pack: typeof packCodes,
): Buffer {
  const lengths = codeLengths([...counts.map((count) => count + 1), 1]); // any byte may occur
  const codes = canonicalCodes(lengths);
  const most = Math.ceil((bytes.length * Math.max(...lengths)) / 8);
  const out = Buffer.allocUnsafeSlow(most + headSize).fill(0, 0, headSize);
  let at = 0;
  const write = (value: number, length: number) => {
    for (let i = 0; i < length; i++, at++) out[at >>> 3] |= ((value >>> i) & 1) << (at & 7);
  };
  write(0x0178, 16); // zlib: a window of 32 KiB, fastest
  write(0b101, 3); // the last block; a code of its own
  write(0, 5); // 257 codes for bytes and the end
  write(1, 5); // 2 for distances, which do not occur
  write(15, 4); // all 19 code lengths follow
  for (let i = 0; i < 19; i++) write(i < 3 ? 0 : 4, 3); // no repetitions; lengths 0 to 15 as four bits
  const fourBits = (value: number) => write(reversed(value, 4), 4);
  for (const length of lengths) fourBits(length);
  fourBits(1);
  fourBits(1);
  at = pack(bytes, codes.subarray(0, 256), out, at);
  const tail = Buffer.alloc(12);
  const used = at >>> 3;
  const stop = ((codes[end] & 0xffff) << (at & 7)) | (at & 7 ? out[used] : 0);
  tail.writeUInt32LE(stop, 0);
  const more = Math.ceil(((at & 7) + (codes[end] >>> 16)) / 8);
  tail.writeUInt32BE(adler, more);
  tail.copy(out, used, 0, more + 4);
  return out.subarray(0, used + more + 4);
}

/** Huffman's code lengths, of at most 14 bits; 0 where a symbol does not occur. At least two must. */
export function codeLengths(counts: readonly number[]): Uint8Array {
  // Lightest first, then by number: one number sorts by both, without a function to call.
  const sorted = Float64Array.from(counts, (count, symbol) =>
    count > 0 ? count * counts.length + symbol : 0,
  );
  sorted.sort();
  const order = sorted.subarray(sorted.findIndex((key) => key > 0));
  const leaves = order.length;
  const nodes = 2 * leaves - 1;
  const weights = new Float64Array(nodes);
  for (let i = 0; i < leaves; i++) weights[i] = Math.floor(order[i] / counts.length);
  const parents = new Uint16Array(nodes);
  let [leaf, node] = [0, leaves]; // both in order of weight
  for (let made = leaves; made < nodes; made++)
    for (let child = 0; child < 2; child++) {
      const lightest = leaf < leaves && (node >= made || weights[leaf] <= weights[node]) ? leaf++ : node++;
      weights[made] += weights[lightest];
      parents[lightest] = made;
    }
  const depths = new Uint16Array(nodes);
  for (let i = nodes - 2; i >= 0; i--) depths[i] = depths[parents[i]] + 1;
  if (depths[0] > longest) return codeLengths(counts.map((count) => (count > 0 ? (count >>> 1) | 1 : 0))); // nearer to each other
  const lengths = new Uint8Array(counts.length);
  for (let i = 0; i < leaves; i++) lengths[order[i] % counts.length] = depths[i];
  return lengths;
}

/** RFC 1951, 3.2.2: codes of a length follow each other, in the order of the symbols. */
function canonicalCodes(lengths: Uint8Array): Uint32Array {
  const next = new Uint32Array(longest + 2); // the next code of each length
  for (const length of lengths) if (length > 0) next[length + 1]++;
  for (let length = 2; length <= longest; length++) next[length] = (next[length - 1] + next[length]) << 1;
  const codes = new Uint32Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length > 0) codes[symbol] = reversed(next[length]++, length) | (length << 16);
  });
  return codes;
}

function reversed(value: number, length: number): number {
  let result = 0;
  for (let i = 0; i < length; i++) result |= ((value >>> i) & 1) << (length - 1 - i);
  return result;
}
