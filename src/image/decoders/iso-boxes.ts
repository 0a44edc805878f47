import { endsTooEarly, Unreadable } from './decoder.js';
import type { Reader } from './reader.js';

/** What a file of boxes (ISO/IEC 14496-12) says it is: the brands of its first box. None where it is no such file. */
export function brandsOf(head: string): string[] {
  if (!head.startsWith('ftyp', 4)) return [];
  const length = Math.min(head.length, Buffer.from(head, 'latin1').readUInt32BE(0));
  return (head.slice(8, length).match(/[^]{4}/g) ?? []).filter((_, i) => i !== 1); // the second is a version
}

/** Where a box's body begins and ends. */
export interface Box {
  readonly type: string;
  readonly body: number;
  readonly end: number;
}

/** The box at `at`, which ends before `limit`. */
export function boxAt(file: Reader, at: number, limit: number): Box {
  let size = file.u32(at);
  const type = file.text(at + 4, 4);
  let body = at + 8;
  if (size === 1) {
    size = file.u64(body);
    body += 8;
  }
  const end = size === 0 ? limit : at + size; // 0: up to the end
  if (end > file.length) throw new Unreadable(endsTooEarly);
  if (end < body || end > limit) throw new Unreadable('its data are damaged');
  return { type, body, end };
}

/** The boxes in another's body, behind its first `skip` bytes. */
export function* boxesIn(file: Reader, { body, end }: Box, skip = 0): Generator<Box> {
  for (let at = body + skip; at < end; ) {
    const box = boxAt(file, at, end);
    yield box;
    at = box.end;
  }
}
