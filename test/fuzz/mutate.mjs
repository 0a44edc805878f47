// Damages model files: flipped bytes, cut ends, lengths that lie, parts taken out or doubled.

/** A small random number generator (mulberry32): the same seed, the same damage. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const kinds = ['flip', 'truncate', 'length', 'take out', 'double', 'zero'];

/** @returns {{ kind: string, bytes: Uint8Array }} */
export function mutate(original, seed) {
  const random = randomFrom(seed);
  const below = (limit) => Math.floor(random() * limit);
  const kind = kinds[below(10) < 5 ? 0 : below(kinds.length)];
  const bytes = Uint8Array.from(original);
  const at = below(bytes.length);
  const span = 1 + below(Math.min(64, bytes.length - at));
  switch (kind) {
    case 'flip':
      for (let i = below(8); i >= 0; i--) bytes[below(bytes.length)] ^= 1 << below(8);
      return { kind, bytes };
    case 'truncate':
      return { kind, bytes: bytes.subarray(0, at) };
    case 'length':
      // Where a length is likely (a small number), a huge one: continuation bits and ones.
      for (let i = at; i < Math.min(at + 2 + below(4), bytes.length); i++) bytes[i] = 0xff;
      return { kind, bytes };
    case 'take out':
      return { kind, bytes: Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + span)]) };
    case 'double':
      return { kind, bytes: Buffer.concat([bytes.subarray(0, at + span), bytes.subarray(at)]) };
    default:
      bytes.fill(0, at, at + span);
      return { kind, bytes };
  }
}
