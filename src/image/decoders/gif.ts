import { endsTooEarly, Unreadable } from './decoder.js';
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
      const data = at + 10 + tableSize(file.u8(at + 9));
      if (frames++ === 0) checkPixels(file, data, file.u16(at + 5) * file.u16(at + 7));
      at = endOfSubBlocks(file, data + 1);
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

/** sharp shows white where the codes of a frame end before its last pixel. */
function checkPixels(file: Reader, at: number, wanted: number): void {
  const parts: Uint8Array[] = [];
  for (let part = at + 1, size = 0; (size = file.u8(part)) > 0; part += 1 + size) {
    file.need(part + 1, size);
    parts.push(file.bytes.subarray(part + 1, part + 1 + size));
  }
  if (countPixels(Buffer.concat(parts), file.u8(at), wanted) < wanted) throw new Unreadable(endsTooEarly);
}

const mostCodes = 4096;

/** Counts the pixels that a frame's codes stand for, up to `enough`: LZW as in GIF89a, appendix F, without the colours. */
function countPixels(data: Uint8Array, rootBits: number, enough: number): number {
  const damaged = new Unreadable('its data are damaged');
  if (rootBits > 8) throw damaged;
  const clear = 1 << rootBits;
  const lengths = new Uint16Array(mostCodes).fill(1); // pixels of each code
  let [bits, next, before] = [rootBits + 1, clear + 2, 0]; // `before`: pixels of the code before; 0 behind a clear
  let [held, heldBits, count] = [0, 0, 0];
  for (const byte of data) {
    held |= byte << heldBits;
    heldBits += 8;
    while (heldBits >= bits) {
      const code = held & ((1 << bits) - 1);
      held >>>= bits;
      heldBits -= bits;
      if (code === clear + 1) return count;
      if (code === clear) {
        bits = rootBits + 1;
        next = clear + 2;
        before = 0;
        continue;
      }
      if (code > next || (code === next && before === 0)) throw damaged;
      if (before > 0 && next < mostCodes) {
        lengths[next++] = before + 1;
        if (next === 1 << bits && bits < 12) bits++;
      }
      before = lengths[code];
      count += before;
      if (count >= enough) return count;
    }
  }
  return count;
}
