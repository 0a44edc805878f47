import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Picture } from './files-service.js';

/** A picture of a run, and the archive that its results go to, where it came from one. */
export interface Input extends Picture {
  readonly archive?: string;
}

/** Pictures that are kept, and read back, together. */
const groupSize = 64;

/**
 * The pictures of a run, in order. A run holds them all to its end, so they are packed: to some 20 bytes
 * each, of 200 as objects.
 */
export class InputList implements Iterable<Input> {
  /** Full groups: JSON, deflated. */
  readonly #groups: Buffer[] = [];
  #rest: Input[] = [];
  /** The group that was read last. */
  #read: { group: number; inputs: readonly Input[] } = { group: -1, inputs: [] };

  get length(): number {
    return groupSize * this.#groups.length + this.#rest.length;
  }

  add({ path, name, part, archive }: Omit<Input, 'index'>): void {
    this.#rest.push({ index: this.length, path, name, part, archive });
    if (this.#rest.length < groupSize) return;
    const packed = deflateRawSync(JSON.stringify(this.#rest), { level: 1 });
    this.#groups.push(Buffer.from(packed)); // without the rest of zlib's buffer
    this.#rest = [];
  }

  slice(start: number, end: number): Input[] {
    const inputs: Input[] = [];
    for (let i = start; i < Math.min(end, this.length); i++) {
      const group = Math.floor(i / groupSize);
      if (this.#read.group !== group) this.#read = { group, inputs: this.#group(group) };
      inputs.push(this.#read.inputs[i % groupSize]);
    }
    return inputs;
  }

  *[Symbol.iterator](): Generator<Input> {
    for (let group = 0; group <= this.#groups.length; group++) yield* this.#group(group);
  }

  #group(group: number): readonly Input[] {
    if (group === this.#groups.length) return this.#rest;
    return JSON.parse(inflateRawSync(this.#groups[group]).toString());
  }
}
