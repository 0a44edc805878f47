import type { FileHandle } from 'node:fs/promises';

/**
 * Tar archives: POSIX ustar, with pax and GNU extensions for long names and sizes read, and pax written where a name or
 * size needs it.
 */

/** An entry of an archive. */
export interface TarEntry {
  readonly kind: 'file' | 'hard link' | 'symbolic link' | 'sparse file' | 'other';
  readonly name: string;
  /** What a link leads to. */
  readonly target: string;
  /** Where its first header begins, and where the next entry does. */
  readonly start: number;
  readonly end: number;
  /** Where its bytes begin, and how many they are. */
  readonly offset: number;
  readonly size: number;
}

/** What makes an archive unreadable from some byte on, in words. */
export class DamagedArchive extends Error {}

const blockSize = 512;

/** Names and the like of more bytes are taken for damage. */
const longest = 2 ** 20;

const kinds: Readonly<Record<string, TarEntry['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hard link',
  '2': 'symbolic link',
  S: 'sparse file',
};

/** Headers for the entry that follows: names that are too long for its own, sizes that are too large. */
interface Extension {
  name?: string;
  target?: string;
  size?: number;
  isSparse?: boolean;
}

/** The entries of an archive, in its order; only headers are read. @throws DamagedArchive */
export async function* readEntries(file: FileHandle): AsyncGenerator<TarEntry> {
  const { size: length } = await file.stat();
  const block = Buffer.alloc(blockSize);
  let extension: Extension = {};
  for (let at = 0, start = 0; at + blockSize <= length; ) {
    await file.read(block, 0, blockSize, at);
    if (block.every((byte) => byte === 0)) return;
    if (!isChecksumRight(block)) throw damagedAt(at);
    const type = String.fromCharCode(block[156]);
    const isExtension = 'xLK'.includes(type);
    const name = (!isExtension && extension.name) || nameOf(block);
    const hasBytes = !'123456'.includes(type);
    const size = hasBytes ? (!isExtension && extension.size) || numberIn(block, 124, 12) : 0;
    if (size === undefined || (isExtension && size > longest)) throw damagedAt(at);
    let offset = at + blockSize;
    if (type === 'S') offset = await behindSparseMap(file, block, offset, length);
    const end = offset + Math.ceil(size / blockSize) * blockSize;
    if (offset + size > length) throw new DamagedArchive(`it ends within ${JSON.stringify(name)}`);
    if (isExtension) {
      const { buffer } = await file.read(Buffer.alloc(size), 0, size, offset);
      extension = { ...extension, ...extensionOf(type, buffer, at) };
    } else {
      const kind = extension.isSparse ? 'sparse file' : (kinds[type] ?? 'other');
      const isFolder = name.endsWith('/');
      const target = extension.target ?? text(block, 157, 100);
      if (type !== 'g') yield { kind: isFolder ? 'other' : kind, name, target, start, end, offset, size };
      extension = {};
      start = end;
    }
    at = end;
  }
}

function damagedAt(byte: number): DamagedArchive {
  return new DamagedArchive(`damaged header at byte ${byte}`);
}

function extensionOf(type: string, bytes: Buffer, at: number): Extension {
  if (type === 'L') return { name: text(bytes, 0, bytes.length) };
  if (type === 'K') return { target: text(bytes, 0, bytes.length) };
  return readPax(bytes, at);
}

/** Old GNU archives continue the map of a sparse file in blocks between its header and its bytes. */
async function behindSparseMap(
  file: FileHandle,
  header: Buffer,
  from: number,
  length: number,
): Promise<number> {
  const block = Buffer.alloc(blockSize);
  let at = from;
  for (let continues = header[482]; continues !== 0 && at + blockSize <= length; continues = block[504]) {
    await file.read(block, 0, blockSize, at);
    at += blockSize;
  }
  return at;
}

/** One regular file as it lies in an archive: header, bytes, padding. Owner and time are zero: the same bytes every time. */
export function encodeMember(name: string, bytes: Uint8Array): Buffer {
  const short = splitName(name);
  const parts: Uint8Array[] = [];
  if (!short) {
    const record = paxRecord('path', name);
    parts.push(header('PaxHeader', '', record.length, 'x'), record, padding(record.length));
  }
  parts.push(
    header(short?.name ?? 'file', short?.prefix ?? '', bytes.length, '0'),
    bytes,
    padding(bytes.length),
  );
  return Buffer.concat(parts);
}

/** What ends an archive. */
export const archiveEnd: Uint8Array = new Uint8Array(2 * blockSize);

function header(name: string, prefix: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(blockSize);
  block.write(name, 0, 100, 'utf8');
  block.write('0000644\0', 100, 'latin1');
  block.write('0000000\0', 108, 'latin1');
  block.write('0000000\0', 116, 'latin1');
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  block.write(`${'0'.repeat(11)}\0`, 136, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  block.write(prefix, 345, 155, 'utf8');
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A name in ustar's two fields; undefined where it does not fit. */
function splitName(name: string): { name: string; prefix: string } | undefined {
  if (Buffer.byteLength(name) <= 100) return { name, prefix: '' };
  for (let at = name.indexOf('/'); at > 0; at = name.indexOf('/', at + 1)) {
    const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)];
    if (Buffer.byteLength(prefix) <= 155 && rest !== '' && Buffer.byteLength(rest) <= 100)
      return { name: rest, prefix };
  }
  return undefined;
}

function padding(size: number): Uint8Array {
  return new Uint8Array((blockSize - (size % blockSize)) % blockSize);
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`, 'utf8');
  let length = rest.length + 1;
  while (String(length).length + rest.length > length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function readPax(bytes: Buffer, header: number): Extension {
  const found: Extension = {};
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, space));
    const end = at + length;
    if (space < 0 || !Number.isSafeInteger(length) || end <= space || end > bytes.length)
      throw damagedAt(header);
    const record = bytes.toString('utf8', space + 1, end - 1);
    const [key, value] = [record.slice(0, record.indexOf('=')), record.slice(record.indexOf('=') + 1)];
    if (key === 'path' || key === 'GNU.sparse.name') found.name = value;
    if (key === 'linkpath') found.target = value;
    if (key.startsWith('GNU.sparse.')) found.isSparse = true;
    if (key === 'size') found.size = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (found.size !== undefined && !Number.isSafeInteger(found.size)) throw damagedAt(header);
    at = end;
  }
  return found;
}

function nameOf(block: Buffer): string {
  const isUstar = block.toString('latin1', 257, 262) === 'ustar';
  const prefix = isUstar && block[262] === 0 ? text(block, 345, 155) : '';
  return prefix ? `${prefix}/${text(block, 0, 100)}` : text(block, 0, 100);
}

function text(block: Buffer, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

/** Octal digits, or GNU's base 256 where the first bit is set; undefined for what is no number, negative or too large. */
function numberIn(block: Buffer, start: number, length: number): number | undefined {
  let value = 0;
  if (block[start] & 0x80) {
    value = block[start] & 0x7f; // the sign is the next bit: negative numbers come out too large
    for (let i = 1; i < length; i++) value = value * 256 + block[start + i];
  } else {
    const digits = text(block, start, length).trim();
    value = /^[0-7]*$/.test(digits) ? Number.parseInt(digits || '0', 8) : Number.NaN;
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The sum of the header's bytes, its own field counted as spaces; some archivers took the bytes as signed. */
function isChecksumRight(block: Buffer): boolean {
  const wanted = numberIn(block, 148, 8);
  return (
    wanted === checksumOf(block) ||
    wanted === checksumOf(new Int8Array(block.buffer, block.byteOffset, blockSize))
  );
}

function checksumOf(block: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < blockSize; i++) sum += i >= 148 && i < 156 ? 0x20 : block[i];
  return sum;
}
