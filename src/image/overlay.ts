import { invalid, numberIn, onlyKeys } from '../check.js';
import { GradcamppError } from '../errors.js';
import { release, uninitialized } from '../memory.js';
import { byteOf, type PixelBox } from './blend.js';
import { type Colormap, colormapTable } from './colormap.js';
import { kernels } from './kernels.js';
import { type AnyPixels, checkPixels, type Pixels, type Rectangle, toGrey } from './pixels.js';

/** A normalised map, 0…1, dims [h, w]. */
export interface PictureMap {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

export interface OverlayOptions {
  /** Default turbo. */
  readonly colormap?: Colormap;
  /** 0: the picture alone … 1: the colours alone. Default 0.5. */
  readonly opacity?: number;
  /** Where the map is below it the picture keeps its colours, 0…1. Default 0. */
  readonly threshold?: number;
  /** Where the map lies in the picture: the part that the network saw. Default: the whole picture. */
  readonly geometry?: Rectangle | undefined;
}

/**
 * The map's colours over the picture. What lies outside `geometry` keeps its own colours, darker by 0.8 of
 * `opacity`: the network did not see it, which is not the same as a map of zero.
 */
export function drawOverlay(picture: Pixels, map: PictureMap, options: OverlayOptions = {}): Pixels {
  onlyKeys('drawOverlay', options, ['colormap', 'opacity', 'threshold', 'geometry']);
  const opacity = numberIn('opacity', options.opacity ?? 0.5, 0, 1);
  const threshold = numberIn('threshold', options.threshold ?? 0, 0, 1);
  const table = colormapTable(options.colormap ?? 'turbo');
  const { over, box } = place(picture, map, options.geometry);
  const { width, height } = picture;
  const data = new Uint8Array(uninitialized(picture.data.length));
  const values = new Float32Array(uninitialized(box.width * band * Float32Array.BYTES_PER_ELEMENT));
  for (let top = 0; top < height; top += band) {
    const [from, to] = [top * width * 3, Math.min(top + band, height) * width * 3];
    const rows = rowsWithin(box, top, Math.min(top + band, height));
    const part = values.subarray(0, rows.width * rows.height);
    kernels().stretchMap(map.data, map.dims, over, rows, part);
    const within = { ...rows, top: rows.top - top };
    const [source, out] = [picture.data.subarray(from, to), data.subarray(from, to)];
    kernels().blend(source, width, within, part, table, opacity, 1 - 0.8 * opacity, out);
    if (threshold > 0) uncover(source, width, within, part, threshold, out);
  }
  release([values]);
  return { data, width, height, channels: 3 };
}

/** Gives the pixels of a box their own colours back where the map is below a threshold. */
function uncover(
  source: Uint8Array,
  width: number,
  { left, top, width: columns, height }: PixelBox,
  map: Float32Array,
  threshold: number,
  out: Uint8Array,
): void {
  for (let y = 0, m = 0; y < height; y++)
    for (let x = 0, p = 3 * ((top + y) * width + left); x < columns; x++, m++, p += 3)
      if (!(map[m] >= threshold)) for (let c = p; c < p + 3; c++) out[c] = source[c];
}

/** Rows that are drawn at once: the map at a picture's own size would need more memory than the picture. */
const band = 128;

/** The part of a box in the rows `top` to `bottom` − 1. */
function rowsWithin(box: PixelBox, top: number, bottom: number): PixelBox {
  const first = Math.min(Math.max(box.top, top), bottom);
  const end = Math.max(Math.min(box.top + box.height, bottom), first);
  return { left: box.left, width: box.width, top: first, height: end - first };
}

/** The map in grey, at its own size: 0 black, 1 white. One channel. */
export function drawMap(map: PictureMap): AnyPixels {
  const [height, width] = dimsOf(map);
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) data[i] = byteOf(map.data[i]);
  return { data, width, height, channels: 1 };
}

/** The map in colours, at its own size. */
export function drawHeat(map: PictureMap, colormap: Colormap = 'turbo'): Pixels {
  const [height, width] = dimsOf(map);
  const table = colormapTable(colormap);
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, o = 0; o < data.length; i++, o += 3) {
    const colour = 3 * byteOf(map.data[i]);
    data[o] = table[colour];
    data[o + 1] = table[colour + 1];
    data[o + 2] = table[colour + 2];
  }
  return { data, width, height, channels: 3 };
}

/**
 * Draws a box into a picture's own pixels: a white line within its edges, a black one around it, thicker in larger pictures. What
 * lies outside the picture is not drawn.
 *
 * @param box in the picture's pixels
 */
export function drawBox<P extends Pixels>(picture: P, box: Rectangle): P {
  checkPixels(picture, 'picture');
  const { x, y, width, height } = checkRectangle('box', box);
  const { width: w, height: h } = picture;
  const line = Math.max(1, Math.round(Math.min(w, h) / 200));
  const [left, top, right, bottom] = [x, y, x + width, y + height].map(Math.round);
  const frame = (out: number, level: number) => {
    const [x0, y0, x1, y1] = [left - out, top - out, right + out, bottom + out];
    fill(picture, [x0, y0, x1, y0 + line], level);
    fill(picture, [x0, y1 - line, x1, y1], level);
    fill(picture, [x0, y0, x0 + line, y1], level);
    fill(picture, [x1 - line, y0, x1, y1], level);
  };
  frame(line, 0);
  frame(0, 255);
  return picture;
}

/** Fills the pixels from (x0, y0) to before (x1, y1). */
function fill({ data, width, height }: Pixels, [x0, y0, x1, y1]: readonly number[], level: number): void {
  const [left, right] = [Math.max(x0, 0), Math.min(x1, width)];
  for (let y = Math.max(y0, 0); y < Math.min(y1, height); y++)
    if (right > left) data.fill(level, 3 * (y * width + left), 3 * (y * width + right));
}

/** From these map values on a cutout begins to show the picture, and shows it in full. */
const [hidden, shown] = [0.25, 0.5];

/**
 * The salient part of the picture: as it is where the map is at least 0.5, fading below that to a pale grey
 * picture (30 % of its luma on white), which is all that is left under 0.25 and outside `geometry`.
 */
export function drawCutout(picture: Pixels, map: PictureMap, geometry?: Rectangle): Pixels {
  const { over, box } = place(picture, map, geometry);
  const values = kernels().stretchMap(map.data, map.dims, over, box);
  const grey = toGrey(picture);
  const data = new Uint8Array(picture.data.length);
  for (let i = 0, o = 0; i < grey.length; i++, o += 3)
    data[o] = data[o + 1] = data[o + 2] = 0.3 * grey[i] + 0.7 * 255 + 0.5;
  for (let y = 0, m = 0; y < box.height; y++) {
    let p = 3 * ((box.top + y) * picture.width + box.left);
    for (let x = 0; x < box.width; x++, m++) {
      const share = Math.min(Math.max((values[m] - hidden) / (shown - hidden), 0), 1);
      for (let c = 0; c < 3; c++, p++) data[p] = data[p] + share * (picture.data[p] - data[p]) + 0.5;
    }
  }
  return { data, width: picture.width, height: picture.height, channels: 3 };
}

function dimsOf(map: PictureMap): [height: number, width: number] {
  const { data, dims } = Object(map) as Partial<PictureMap>;
  if (!(data instanceof Float32Array) || !Array.isArray(dims))
    throw invalid('map', 'an explained map {data: Float32Array, dims}', map);
  if (dims.length !== 2)
    throw new GradcamppError(
      'INVALID_OPTION',
      `A map of dims [${dims.join(', ')}] cannot be drawn, only one of [h, w]; save its numbers instead (--save npy).`,
    );
  if (data.length !== dims[0] * dims[1])
    throw new GradcamppError(
      'INVALID_OPTION',
      `A map of dims [${dims.join(', ')}] cannot hold ${data.length} values.`,
    );
  return [dims[0], dims[1]];
}

function checkRectangle(name: string, rectangle: Rectangle): Rectangle {
  const { x, y, width, height } = Object(rectangle) as Partial<Rectangle>;
  if (![x, y, width, height].every(Number.isFinite) || !(Number(width) > 0 && Number(height) > 0))
    throw invalid(name, 'a rectangle {x, y, width, height} in pixels of the picture', rectangle);
  return rectangle;
}

/** The rectangle that the map covers, and the whole pixels whose centres lie in it. */
function place(picture: Pixels, map: PictureMap, geometry?: Rectangle): { over: Rectangle; box: PixelBox } {
  const { channels } = checkPixels(picture, 'picture');
  if (channels !== 3) throw invalid('picture.channels', '3; decodeImage gives such pictures', channels);
  dimsOf(map);
  const over = geometry
    ? checkRectangle('geometry', geometry)
    : { x: 0, y: 0, width: picture.width, height: picture.height };
  const first = (start: number, length: number) => Math.min(Math.max(Math.ceil(start - 0.5), 0), length);
  const left = first(over.x, picture.width);
  const top = first(over.y, picture.height);
  return {
    over,
    box: {
      left,
      top,
      width: first(over.x + over.width, picture.width) - left,
      height: first(over.y + over.height, picture.height) - top,
    },
  };
}
