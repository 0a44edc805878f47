import type { Pixels } from './pixels.js';

/**
 * Where the pixel of output (x, y) lies in a stored picture of w×h, for EXIF orientations 1 to 8:
 * [swap axes first, then mirror stored x, mirror stored y].
 */
const placements: readonly (readonly [swap: boolean, mirrorX: boolean, mirrorY: boolean])[] = [
  [false, false, false], // 1 as stored
  [false, true, false], // 2 mirrored left–right
  [false, true, true], // 3 turned by 180°
  [false, false, true], // 4 mirrored top–bottom
  [true, false, false], // 5 transposed
  [true, false, true], // 6 to be turned by 90° clockwise
  [true, true, true], // 7 transposed about the other diagonal
  [true, true, false], // 8 to be turned by 90° anticlockwise
];

/** The picture upright. `orientation` is the EXIF value; anything outside 1…8 counts as 1. */
export function orient(pixels: Pixels, orientation: number): Pixels {
  const [swap, mirrorX, mirrorY] = placements[orientation - 1] ?? placements[0];
  if (!swap && !mirrorX && !mirrorY) return pixels;
  const { data, width, height } = pixels;
  const [outWidth, outHeight] = swap ? [height, width] : [width, height];
  const alongX = mirrorX ? -1 : 1;
  const alongY = mirrorY ? -width : width;
  const start = (mirrorX ? width - 1 : 0) + (mirrorY ? (height - 1) * width : 0);
  const [stepX, stepY] = swap ? [alongY, alongX] : [alongX, alongY];
  const out = new Uint8Array(data.length);
  for (let y = 0, o = 0; y < outHeight; y++) {
    let p = 3 * (start + y * stepY);
    for (let x = 0; x < outWidth; x++, o += 3, p += 3 * stepX) {
      out[o] = data[p];
      out[o + 1] = data[p + 1];
      out[o + 2] = data[p + 2];
    }
  }
  return { data: out, width: outWidth, height: outHeight, channels: 3 };
}

/** The orientation (tag 0x0112) in the first directory of an EXIF block (a TIFF header on); 1 where there is none. */
export function exifOrientation(exif: Uint8Array): number {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  if (view.byteLength < 8) return 1;
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const little = order === 0x4949;
  const directory = view.getUint32(4, little);
  if (directory + 2 > view.byteLength) return 1;
  const entries = view.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > view.byteLength) return 1;
    if (view.getUint16(entry, little) === 0x0112) return view.getUint16(entry + 8, little);
  }
  return 1;
}
