import { endsTooEarly, Unreadable } from './decoder.js';
import { Reader } from './reader.js';
import { sharpDecoder, type Survey } from './sharp-decoder.js';

/** Every scan goes over the whole picture, however few bytes it has; encoders write about ten. */
const mostScans = 100;

export const jpeg = sharpDecoder({
  format: 'JPEG',
  extensions: ['.jpg', '.jpeg', '.jpe', '.jfif'],
  recognizes: (head) => head.startsWith('\xff\xd8\xff'),
  survey,
  lacksRows: /premature end of (data segment|JPEG)/i,
  whyRefused: (bytes) => {
    const { precision, process } = survey(bytes);
    if (precision !== 8) return `its samples have ${precision} bits, and JPEGs of 8 are read`;
    return processes[process] && `it is a JPEG of a rare kind (${processes[process]}), which is not read`;
  },
});

/** Coding processes by the marker of their frame, where decoders commonly have none. */
const processes: Readonly<Record<number, string>> = {
  195: 'lossless',
  197: 'hierarchical',
  198: 'hierarchical',
  199: 'hierarchical',
  201: 'arithmetic coding',
  202: 'arithmetic coding',
  203: 'lossless',
  205: 'hierarchical',
  206: 'hierarchical',
  207: 'hierarchical',
};

interface JpegSurvey extends Survey {
  /** Bits of a sample. */
  readonly precision: number;
  /** The marker of the frame, SOF0 to SOF15. */
  readonly process: number;
}

/** The segments up to the end of the image (ISO/IEC 10918-1, B.1.1); what follows is ignored. */
function survey(bytes: Uint8Array): JpegSurvey {
  const file = new Reader(bytes);
  let frame: JpegSurvey | undefined;
  let scans = 0;
  let at = 2;
  for (;;) {
    at = nextMarker(file, at);
    const marker = file.u8(at - 1);
    if (marker === 0xd9) break;
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) continue; // markers without a segment
    const length = file.u16(at);
    file.need(at, length);
    if (isFrame(marker) && !frame)
      frame = {
        precision: file.u8(at + 2),
        height: file.u16(at + 3),
        width: file.u16(at + 5),
        process: marker,
      };
    if (marker === 0xda && ++scans > mostScans)
      throw new Unreadable(`it has more than ${mostScans} progressive scans`);
    at += length;
  }
  if (!frame || scans === 0) throw new Unreadable('it holds no pixels');
  if (frame.width * frame.height === 0) throw new Unreadable('its JPEG header is damaged');
  return { ...frame, file: bytes.subarray(0, at) };
}

function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** The position behind the next marker: coded data, in which 0xFF stands before 0 only, and stray bytes are passed over. */
function nextMarker({ bytes }: Reader, from: number): number {
  for (let at = from; ; at++) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) throw new Unreadable(endsTooEarly);
    const marker = bytes[at + 1];
    if (marker !== 0 && marker !== 0xff) return at + 2;
  }
}
