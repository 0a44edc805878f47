import { Unreadable } from './decoder.js';
import { Reader } from './reader.js';
import { sharpDecoder, type Survey } from './sharp-decoder.js';

export const gif = sharpDecoder({
  format: 'GIF',
  extensions: ['.gif'],
  recognizes: (head) => head.startsWith('GIF87a') || head.startsWith('GIF89a'),
  survey,
});

/** The blocks up to the trailer (GIF89a specification); what follows is ignored. */
function survey(bytes: Uint8Array): Survey {
  const file = new Reader(bytes, { little: true });
  const [width, height] = [file.u16(6), file.u16(8)];
  if (width * height === 0) throw new Unreadable('its GIF header is damaged');
  let frames = 0;
  let at = 13 + tableSize(file.u8(10));
  for (let block = 0; (block = file.u8(at)) !== 0x3b; ) {
    if (block === 0x2c) {
      frames++;
      at = endOfSubBlocks(file, at + 11 + tableSize(file.u8(at + 9))); // behind the code size
    } else if (block === 0x21) at = endOfSubBlocks(file, at + 2);
    else throw new Unreadable('its data are damaged');
  }
  if (frames === 0) throw new Unreadable('it holds no pixels');
  return { width, height, frames, file: bytes.subarray(0, at + 1) };
}

/** Bytes of a colour table, by the flags that say how many entries it has. */
function tableSize(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

/** Behind a row of sub-blocks, which an empty one ends. */
function endOfSubBlocks(file: Reader, from: number): number {
  let at = from;
  for (let size = 1; size > 0; at += 1 + size) size = file.u8(at);
  return at;
}
