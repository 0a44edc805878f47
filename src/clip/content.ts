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

/** The first bytes, as Latin-1. */
export async function headOf(file: string | Uint8Array): Promise<string> {
  if (typeof file !== 'string') return latin1(file.subarray(0, headLength));
  try {
    await using handle = await openFile(file);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(headLength), 0, headLength, 0);
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
