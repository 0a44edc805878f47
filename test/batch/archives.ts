import { gzipSync } from 'node:zlib';
import { archiveEnd, encodeMember } from '../../src/batch/inputs/tar.js';
import { noise } from './inputs.js';

/** A member whose header is changed; the checksum is made to fit. */
export function withHeader(name: string, bytes: Uint8Array, change: (header: Buffer) => unknown): Buffer {
  const member = encodeMember(name, bytes);
  const header = member.subarray(0, 512);
  change(header);
  header.write(' '.repeat(8), 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return member;
}

/** An entry of another type than a file. */
export const typed = (
  type: string,
  name: string,
  bytes: Uint8Array = new Uint8Array(),
  target = '',
): Buffer =>
  withHeader(name, bytes, (header) => {
    header.write(type, 156, 'latin1');
    header.write(target, 157, 'utf8');
  });

/** Pictures, a long name, a link of either kind, something else. */
export const wholeArchive = Buffer.concat([
  encodeMember('set/a.png', noise(1)),
  encodeMember(`${'long/'.repeat(40)}b.png`, noise(2)),
  typed('1', 'set/hard.png', undefined, 'set/a.png'),
  typed('2', 'soft.png', undefined, 'set/a.png'),
  encodeMember('set/a.cls', Buffer.from('3')),
  encodeMember('set/c.png', noise(3)),
  archiveEnd,
]);

function mutate(bytes: Buffer, random: () => number): Buffer {
  const below = (n: number) => Math.floor(random() * n);
  const file = Buffer.from(bytes);
  for (let times = 1 + below(8); times > 0; times--) {
    const header = 512 * below(file.length / 512);
    const field = [0, 100, 124, 148, 156, 157, 257, 345][below(8)];
    file[Math.min(random() < 0.7 ? header + field + below(12) : below(file.length), file.length - 1)] =
      below(256);
  }
  const at = below(file.length);
  const kinds = [
    () => file,
    () => file,
    () => file.subarray(0, at),
    () => Buffer.concat([file.subarray(0, at), file.subarray(at + 1 + below(700))]),
    () => Buffer.concat([file.subarray(0, at), Buffer.alloc(1 + below(700), below(256)), file.subarray(at)]),
    () => withChecksums(file),
    () => withChecksums(file),
  ];
  return kinds[below(kinds.length)]();
}

/** Headers that are wrong, and pass for right. */
function withChecksums(file: Buffer): Buffer {
  for (let at = 0; at + 512 <= file.length; at += 512) {
    const block = file.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.write(' '.repeat(8), 148, 'latin1');
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return file;
}

/** A damaged archive; every fifth is compressed behind the damage, every fifth before it. */
export function damagedArchive(i: number, random: () => number): Uint8Array {
  if (i % 5 === 0) return mutate(gzipSync(wholeArchive), random);
  if (i % 5 === 1) return gzipSync(mutate(wholeArchive, random));
  return mutate(wholeArchive, random);
}
