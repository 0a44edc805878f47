import { encodeMember } from '../../src/batch/inputs/tar.js';

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
