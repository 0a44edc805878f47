import { endsTooEarly, Unreadable } from './decoder.js';

/** Numbers and names in a file; a position beyond its end means that the file ends too early. */
export class Reader {
  readonly length: number;
  readonly #view: DataView;
  readonly #little: boolean;

  constructor(
    readonly bytes: Uint8Array,
    { little = false } = {},
  ) {
    this.length = bytes.length;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#little = little;
  }

  /** Whether the file has `size` bytes at `at`. */
  has(at: number, size: number): boolean {
    return at >= 0 && at + size <= this.length;
  }

  need(at: number, size: number): void {
    if (!this.has(at, size)) throw new Unreadable(endsTooEarly);
  }

  u8(at: number): number {
    this.need(at, 1);
    return this.bytes[at];
  }

  u16(at: number): number {
    this.need(at, 2);
    return this.#view.getUint16(at, this.#little);
  }

  u24(at: number): number {
    return this.#little ? this.u16(at) + 65_536 * this.u8(at + 2) : 256 * this.u16(at) + this.u8(at + 2);
  }

  u32(at: number): number {
    this.need(at, 4);
    return this.#view.getUint32(at, this.#little);
  }

  /** Whole numbers above 2⁵³ lose their last digits: no file is that long. */
  u64(at: number): number {
    this.need(at, 8);
    return Number(this.#view.getBigUint64(at, this.#little));
  }

  /** Latin-1. */
  text(at: number, size: number): string {
    this.need(at, size);
    return String.fromCharCode(...this.bytes.subarray(at, at + size));
  }
}
