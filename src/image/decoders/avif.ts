import { type Box, boxAt, boxesIn, brandsOf } from './iso-boxes.js';
import { endsTooEarly, Unreadable } from './decoder.js';
import { Reader } from './reader.js';
import { sharpDecoder, type Survey } from './sharp-decoder.js';

export const avif = sharpDecoder({
  format: 'AVIF',
  extensions: ['.avif'],
  recognizes: (head) => brandsOf(head).some((brand) => brand === 'avif' || brand === 'avis'),
  survey,
});

/** The boxes that describe the picture; `meta` says where in the file its data are. What follows them is ignored. */
function survey(bytes: Uint8Array): Survey {
  const file = new Reader(bytes);
  let meta: Box | undefined;
  for (let at = 0; !meta; ) {
    if (at >= file.length) throw new Unreadable(endsTooEarly);
    const box = boxAt(file, at, file.length);
    if (box.type === 'meta') meta = box;
    at = box.end;
  }
  let size = { width: 0, height: 0 };
  for (const box of boxesIn(file, meta, 4)) {
    if (box.type === 'iloc') checkExtents(file, box);
    if (box.type === 'iprp') size = largestSize(file, box);
  }
  if (size.width * size.height === 0) throw new Unreadable('it holds no pixels');
  return size;
}

/** Of the sizes among the properties the largest: a grid's rather than that of its tiles, or of a thumbnail. */
function largestSize(file: Reader, properties: Box): { width: number; height: number } {
  const largest = { width: 0, height: 0 };
  for (const container of boxesIn(file, properties)) {
    if (container.type !== 'ipco') continue;
    for (const { type, body } of boxesIn(file, container)) {
      if (type !== 'ispe') continue;
      largest.width = Math.max(largest.width, file.u32(body + 4));
      largest.height = Math.max(largest.height, file.u32(body + 8));
    }
  }
  return largest;
}

/** Whether the data of every item lie in the file (ISO/IEC 14496-12, 8.11.3). */
function checkExtents(file: Reader, { body, end }: Box): void {
  const version = file.u8(body);
  const [sizes, more] = [file.u8(body + 4), file.u8(body + 5)];
  const [offsetSize, lengthSize, baseSize] = [sizes >> 4, sizes & 15, more >> 4];
  const indexSize = version > 0 ? more & 15 : 0;
  let at = body + 6;
  const take = (size: number): number => {
    const read = { 0: () => 0, 2: () => file.u16(at), 4: () => file.u32(at), 8: () => file.u64(at) }[size];
    if (!read || at + size > end) throw new Unreadable('its data are damaged');
    const value = read();
    at += size;
    return value;
  };
  for (let items = take(version < 2 ? 2 : 4); items > 0; items--) {
    take(version < 2 ? 2 : 4); // its number
    const isInFile = version === 0 || (take(2) & 15) === 0;
    take(2); // which file: 0 is this one
    const base = take(baseSize);
    for (let extents = take(2); extents > 0; extents--) {
      take(indexSize);
      const offset = take(offsetSize);
      const length = take(lengthSize);
      if (isInFile) file.need(base + offset, length);
    }
  }
}
