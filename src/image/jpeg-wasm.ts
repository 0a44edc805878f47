/** What is used of libjpeg-turbo, compiled to WebAssembly; the package has no types. */
interface Decoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  /** RGB, 8 bits. */
  getDecodedBuffer(): Uint8ClampedArray;
}
interface Codec {
  readonly JPEGDecoder: new () => Decoder;
}

/** Bytes that WebAssembly's memory, which never shrinks, may have before it is given up. */
const mostMemory = 2 ** 27;

let opened: Promise<Decoder> | undefined;

/** Fills `out` with the pixels of a JPEG file, RGB; false where libjpeg-turbo refuses, or they are not as many. */
export async function decodeInWebAssembly(
  bytes: Uint8Array,
  _header: object,
  out: Uint8Array,
): Promise<boolean> {
  opened ??= openDecoder();
  const decoder = await opened;
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    const decoded = decoder.getDecodedBuffer();
    if (decoded.length !== out.length) return false;
    out.set(new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.length)); // clamped, it is copied byte by byte
    return true;
  } catch {
    return false;
  } finally {
    if (isSpent(decoder)) opened = undefined;
  }
}

/** Whether it holds too much memory, or does not answer any more, as once WebAssembly had none left to give. */
function isSpent(decoder: Decoder): boolean {
  try {
    return decoder.getEncodedBuffer(0).buffer.byteLength > mostMemory;
  } catch {
    return true;
  }
}

async function openDecoder(): Promise<Decoder> {
  // As a string, so that the compiler does not look for types; bundlers still see the name.
  const module = await import('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs' as string);
  const codec: Codec = await module.default();
  return new codec.JPEGDecoder();
}
