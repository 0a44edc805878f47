import { openFile, readBytes, whyUnreadable } from '../files.js';
import { Unreadable } from '../image/decoders/decoder.js';

/** Animations of more bytes are refused: they are read as a whole. */
const limit = 2 * 2 ** 30;

/** The bytes of a file, or those that are given. */
export async function contentOf(file: string | Uint8Array): Promise<Uint8Array> {
  if (typeof file !== 'string') return file;
  return readBytes(file, limit).catch((cause: unknown) => {
    throw new Unreadable(whyUnreadable(cause), { cause });
  });
}

/** The first bytes of a file, of bytes, or of a part of an archive, as Latin-1. */
export async function headOf(
  file: string | Uint8Array | { readonly archive: string; readonly offset: number; readonly size: number },
): Promise<string> {
  if (file instanceof Uint8Array) return latin1(file.subarray(0, headLength));
  const { archive, offset, size } =
    typeof file === 'string' ? { archive: file, offset: 0, size: headLength } : file;
  try {
    await using handle = await openFile(archive);
    const length = Math.min(size, headLength);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headLength), 0, length, offset);
    return latin1(buffer.subarray(0, bytesRead));
  } catch (cause) {
    throw new Unreadable(whyUnreadable(cause), { cause });
  }
}

/** An animated PNG says so in the first chunks behind its header. */
const headLength = 256;

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
