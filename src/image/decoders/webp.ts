import { Unreadable } from './decoder.js';
import { Reader } from './reader.js';
import { sharpDecoder, type Survey } from './sharp-decoder.js';

export const webp = sharpDecoder({
  format: 'WebP',
  extensions: ['.webp'],
  recognizes: (head) => head.startsWith('RIFF') && head.startsWith('WEBP', 8),
  survey,
});

/** The chunks of the RIFF container (RFC 9649); what follows it is ignored. */
function survey(bytes: Uint8Array): Survey {
  const file = new Reader(bytes, { little: true });
  const end = 8 + file.u32(4);
  file.need(0, end);
  let size: { width: number; height: number } | undefined;
  let frames = 0;
  for (let at = 12; at + 8 <= end; ) {
    const type = file.text(at, 4);
    const length = file.u32(at + 4);
    if (at + 8 + length > end) throw new Unreadable('its data are damaged');
    size ??= sizeIn(file, type, at + 8);
    if (type === 'ANMF') frames++;
    at += 8 + length + (length & 1);
  }
  if (!size) throw new Unreadable('it holds no pixels');
  return { ...size, frames: Math.max(frames, 1), file: bytes.subarray(0, end) };
}

/** Width and height where a chunk says them: the canvas, or the only picture. */
function sizeIn(file: Reader, type: string, at: number): { width: number; height: number } | undefined {
  if (type === 'VP8X') return { width: file.u24(at + 4) + 1, height: file.u24(at + 7) + 1 };
  if (type === 'VP8 ') return { width: file.u16(at + 6) & 0x3fff, height: file.u16(at + 8) & 0x3fff };
  if (type !== 'VP8L') return undefined;
  const bits = file.u32(at + 1);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}
