/** The inner loops of pictures: pure functions over typed arrays, which native code may stand in for. */

/** Whole pixels of a picture: columns `left` to `left + width`, rows `top` to `top + height`. */
export interface PixelBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * A map [h, w] stretched over a rectangle of a picture and sampled (bilinear, edges clamped) at the centres of the
 * pixels of `box`, which may be any part of the picture.
 * @returns [box.height, box.width]
 */
export function stretchMap(
  map: Float32Array,
  [h, w]: readonly number[],
  over: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  box: PixelBox,
  out = new Float32Array(box.width * box.height),
): Float32Array {
  const left = new Int32Array(box.width);
  const right = new Int32Array(box.width);
  const later = new Float64Array(box.width);
  const toColumn = w / over.width;
  for (let i = 0; i < box.width; i++) {
    const at = Math.min(Math.max((box.left + i + 0.5 - over.x) * toColumn - 0.5, 0), w - 1);
    left[i] = Math.floor(at);
    right[i] = Math.min(left[i] + 1, w - 1);
    later[i] = at - left[i];
  }
  const row = new Float64Array(w); // the map between two of its rows
  const toRow = h / over.height;
  for (let j = 0, o = 0; j < box.height; j++) {
    const at = Math.min(Math.max((box.top + j + 0.5 - over.y) * toRow - 0.5, 0), h - 1);
    const upper = Math.floor(at) * w;
    const lower = Math.min(Math.floor(at) + 1, h - 1) * w;
    const share = at - Math.floor(at);
    for (let x = 0; x < w; x++) row[x] = map[upper + x] + share * (map[lower + x] - map[upper + x]);
    for (let i = 0; i < box.width; i++, o++) {
      const value = row[left[i]];
      out[o] = value + later[i] * (row[right[i]] - value);
    }
  }
  return out;
}

/**
 * Inside `box`: `pixel · (1 − opacity) + table[value] · opacity`, in 16-bit fixed point, rounded. Outside:
 * `pixel · outside`.
 * @param pixels RGB, rows of `width`
 * @param map a value 0…1 for each pixel of the box; others, NaN too, are clamped
 * @param table 256 RGB colours
 * @param out may be `pixels`
 */
export function blend(
  pixels: Uint8Array,
  width: number,
  box: PixelBox,
  map: Float32Array,
  table: Uint8Array,
  opacity: number,
  outside: number,
  out: Uint8Array,
): void {
  const share = Math.round(opacity * 65_536);
  const keep = 65_536 - share;
  const colours = new Int32Array(768);
  for (let i = 0; i < 768; i++) colours[i] = table[i] * share + 32_768;
  const dim = Math.round(outside * 65_536);
  const row = width * 3;
  const [first, last] = [box.left * 3, (box.left + box.width) * 3];
  const [top, bottom] = [box.top * row, (box.top + box.height) * row];
  scale(pixels, 0, top, dim, out);
  for (let start = top, m = 0; start < bottom; start += row) {
    scale(pixels, start, start + first, dim, out);
    for (let p = start + first; p < start + last; p += 3, m++) {
      const colour = 3 * byteOf(map[m]);
      out[p] = (pixels[p] * keep + colours[colour]) >>> 16;
      out[p + 1] = (pixels[p + 1] * keep + colours[colour + 1]) >>> 16;
      out[p + 2] = (pixels[p + 2] * keep + colours[colour + 2]) >>> 16;
    }
    scale(pixels, start + last, start + row, dim, out);
  }
  scale(pixels, bottom, pixels.length, dim, out);
}

/** 0…1 → 0…255, rounded; NaN → 0. */
export function byteOf(value: number): number {
  return value > 0 ? (value < 1 ? (value * 255 + 0.5) | 0 : 255) : 0;
}

function scale(pixels: Uint8Array, from: number, to: number, factor: number, out: Uint8Array): void {
  if (factor === 65_536) {
    if (out !== pixels) out.set(pixels.subarray(from, to), from);
    return;
  }
  for (let i = from; i < to; i++) out[i] = (pixels[i] * factor + 32_768) >>> 16;
}
