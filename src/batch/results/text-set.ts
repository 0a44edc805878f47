import { release } from '../../memory.js';

/**
 * Texts that were seen, of which eight bytes of a checksum each are kept: millions fit where a Set would hold them all. Of ten
 * million, two are taken for one with a probability of 3 · 10⁻⁶.
 */
export class TextSet {
  /** Two numbers a place; 0, 0 where it is free. Linear probing, at most half full. */
  #table = new Uint32Array(2 * 1024);
  #count = 0;

  has(text: string): boolean {
    const [high, low] = checksum(text);
    return this.#isAt(this.#placeOf(high, low));
  }

  add(text: string): void {
    if (4 * (this.#count + 1) > this.#table.length) this.#grow();
    const [high, low] = checksum(text);
    const place = this.#placeOf(high, low);
    if (this.#isAt(place)) return;
    this.#set(place, high, low);
    this.#count++;
  }

  /** Where it is, or would be put. */
  #placeOf(high: number, low: number): number {
    const mask = this.#table.length - 1;
    let place = (2 * low) & mask;
    while (this.#isAt(place) && (this.#table[place] !== high || this.#table[place + 1] !== low))
      place = (place + 2) & mask;
    return place;
  }

  #isAt(place: number): boolean {
    return this.#table[place] !== 0 || this.#table[place + 1] !== 0;
  }

  #set(place: number, high: number, low: number): void {
    this.#table[place] = high;
    this.#table[place + 1] = low;
  }

  #grow(): void {
    const before = this.#table;
    this.#table = new Uint32Array(2 * before.length);
    for (let i = 0; i < before.length; i += 2)
      if (before[i] !== 0 || before[i + 1] !== 0)
        this.#set(this.#placeOf(before[i], before[i + 1]), before[i], before[i + 1]);
    release([before]);
  }
}

/** cyrb64 of bryc (public domain): two numbers of 32 bits, and no garbage, other than node:crypto's. */
function checksum(text: string): readonly [high: number, low: number] {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return [b >>> 0, a >>> 0];
}
