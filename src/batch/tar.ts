import { open } from 'node:fs/promises';
import { GradcamppError, messageOf } from '../errors.js';

/**
 * Tar archives as WebDataset uses them: POSIX ustar, with pax and GNU extensions for long names and sizes read, and
 * pax written where a name or size needs it. Only regular files are given.
 */
export interface Member {
  readonly name: string;
  /** Where its bytes begin in the archive. */
  readonly offset: number;
  readonly size: number;
}

const blockSize = 512;

/** The members of an archive, in its order; only headers are read. */
export async function* readMembers(path: string): AsyncGenerator<Member> {
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw damaged(path, cause.code === 'ENOENT' ? 'there is no such file' : messageOf(cause), cause);
  });
  try {
    const { size: length } = await file.stat();
    const block = Buffer.alloc(blockSize);
    let extended: { path?: string; size?: number } = {};
    for (let at = 0; at + blockSize <= length; ) {
      await file.read(block, 0, blockSize, at);
      at += blockSize;
      if (block.every((byte) => byte === 0)) return;
      if (readNumber(block, 148, 8) !== checksumOf(block))
        throw damaged(path, `the header at byte ${at - blockSize} is damaged`);
      const type = String.fromCharCode(block[156]);
      const size = extended.size ?? readNumber(block, 124, 12);
      if (at + size > length) throw damaged(path, `it ends within ${JSON.stringify(nameOf(block))}`);
      if (type === 'x' || type === 'L') {
        const { buffer } = await file.read(Buffer.alloc(size), 0, size, at);
        extended =
          type === 'L' ? { ...extended, path: text(buffer, 0, size) } : { ...extended, ...readPax(buffer) };
      } else {
        if (type === '0' || type === '\0') yield { name: extended.path ?? nameOf(block), offset: at, size };
        extended = {};
      }
      at += Math.ceil(size / blockSize) * blockSize;
    }
  } finally {
    await file.close();
  }
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

function readPax(bytes: Buffer): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {};
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, space));
    if (space < 0 || !(length > 0)) break;
    const [key, ...value] = bytes.toString('utf8', space + 1, at + length - 1).split('=');
    if (key === 'path') found.path = value.join('=');
    if (key === 'size') found.size = Number(value[0]);
    at += length;
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

/** Octal digits, or GNU's base 256 where the first bit is set. */
function readNumber(block: Buffer, start: number, length: number): number {
  if (!(block[start] & 0x80)) return Number.parseInt(text(block, start, length).trim() || '0', 8);
  let value = block[start] & 0x7f;
  for (let i = 1; i < length; i++) value = value * 256 + block[start + i];
  return value;
}

/** The sum of the header's bytes, its own field counted as spaces. */
function checksumOf(block: Buffer): number {
  let sum = 0;
  for (let i = 0; i < blockSize; i++) sum += i >= 148 && i < 156 ? 0x20 : block[i];
  return sum;
}

function damaged(path: string, reason: string, cause?: unknown): GradcamppError {
  return new GradcamppError(
    'INVALID_OPTION',
    `The archive ${JSON.stringify(path)} cannot be read: ${reason}.`,
    { cause },
  );
}
