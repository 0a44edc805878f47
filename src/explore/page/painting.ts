import { colormapTable, type Colormap } from '../../image/colormap.js';
import type { PictureMap } from '../../image/overlay.js';
import type { Rectangle } from '../../image/pixels.js';
import type { Settings, Stroke } from './settings.js';

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** The edge of a map that is drawn large has so many pixels at least, so that what is above the threshold has smooth outlines. */
const finest = 480;
/** Map values over which the threshold fades. */
const soft = 0.02;

/** Colours of a map, as many times finer than the map as `scale` says; what is below the threshold is clear. */
export function heatOf(
  { data, dims }: PictureMap,
  colormap: Colormap,
  threshold: number,
  scale = 1,
): ImageData {
  const [rows, columns] = dims;
  const [height, width] = [rows * scale, columns * scale];
  const table = tableOf(colormap);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const line = new Float32Array(columns + 1);
  const lefts = Int32Array.from({ length: width }, (_, x) => Math.floor(placeOf(x, scale, columns)));
  const shares = Float32Array.from(lefts, (left, x) => placeOf(x, scale, columns) - left);
  for (let y = 0, i = 0; y < height; y++) {
    const v = placeOf(y, scale, rows);
    const above = Math.floor(v) * columns;
    const below = Math.min(above + columns, (rows - 1) * columns);
    const down = v - Math.floor(v);
    for (let c = 0; c < columns; c++) line[c] = data[above + c] + down * (data[below + c] - data[above + c]);
    line[columns] = line[columns - 1];
    for (let x = 0; x < width; x++, i++) {
      const left = line[lefts[x]];
      const value = left + shares[x] * (line[lefts[x] + 1] - left);
      const share = threshold === 0 ? 1 : (value - threshold) / soft + 0.5;
      if (share <= 0) continue;
      const colour = table[Math.max(0, Math.min(255, (255 * value + 0.5) | 0))];
      pixels[i] = share >= 1 ? colour : ((colour & 0xffffff) | ((255 * share) << 24)) >>> 0;
    }
  }
  return image;
}

/** Where a finer pixel lies among the map's own. */
function placeOf(pixel: number, scale: number, count: number): number {
  return Math.min(Math.max((pixel + 0.5) / scale - 0.5, 0), count - 1);
}

/** How much finer a map is drawn where it is large. */
export function finerBy({ dims }: PictureMap): number {
  return Math.max(1, Math.ceil(finest / Math.max(...dims)));
}

const tables = new Map<Colormap, Uint32Array>();

/** A colour map as pixels, which are written at once. */
function tableOf(name: Colormap): Uint32Array {
  let table = tables.get(name);
  if (!table) {
    const colours = colormapTable(name);
    const bytes = new Uint8ClampedArray(1024).fill(255);
    for (let i = 0; i < 256; i++) bytes.set(colours.subarray(3 * i, 3 * i + 3), 4 * i);
    table = new Uint32Array(bytes.buffer);
    tables.set(name, table);
  }
  return table;
}

export function paintHeat(
  canvas: HTMLCanvasElement,
  map: PictureMap | undefined,
  look: Pick<Settings, 'colormap' | 'threshold'>,
  scale = 1,
): void {
  if (!map || map.dims.length !== 2) {
    canvas.width = 1;
    return;
  }
  const heat = heatOf(map, look.colormap, look.threshold, scale);
  if (canvas.width !== heat.width || canvas.height !== heat.height)
    Object.assign(canvas, { width: heat.width, height: heat.height });
  canvas.getContext('2d')?.putImageData(heat, 0, 0);
}

/** The picture with what the brush has taken away filled by one colour. */
export function paintEdited(
  picture: ImageBitmap,
  { strokes, brush }: Pick<Settings, 'strokes' | 'brush'>,
  fill: string,
): OffscreenCanvas {
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
  context.drawImage(picture, 0, 0);
  const mask = new OffscreenCanvas(width, height);
  const painted = mask.getContext('2d') as OffscreenCanvasRenderingContext2D;
  if (brush === 'keep') {
    painted.fillStyle = fill;
    painted.fillRect(0, 0, width, height);
    painted.globalCompositeOperation = 'destination-out';
  }
  paintStrokes(painted, strokes, fill);
  context.drawImage(mask, 0, 0);
  return canvas;
}

export function paintStrokes(context: Context, strokes: readonly Stroke[], colour: string): void {
  context.strokeStyle = colour;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  for (const { radius, points } of strokes) {
    context.lineWidth = 2 * radius;
    context.beginPath();
    context.moveTo(points[0], points[1]);
    for (let i = 0; i < points.length; i += 2) context.lineTo(points[i], points[i + 1]);
    context.stroke();
  }
}

/** The share of the picture that the brush has touched, 0…1, to a hundredth or so. */
export function touched(
  { width, height }: { width: number; height: number },
  strokes: readonly Stroke[],
): number {
  const scale = Math.min(1, 128 / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
  const context = canvas.getContext('2d', { willReadFrequently: true }) as OffscreenCanvasRenderingContext2D;
  context.scale(scale, scale);
  paintStrokes(context, strokes, '#000');
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 3; i < data.length; i += 4) sum += data[i];
  return sum / (255 * canvas.width * canvas.height);
}

/** What is seen, in the picture's own pixels. */
export function paintAll(
  picture: CanvasImageSource & { readonly width: number; readonly height: number },
  map: PictureMap | undefined,
  geometry: Rectangle,
  look: Settings,
  boxes: readonly Rectangle[],
): OffscreenCanvas {
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
  context.drawImage(picture, 0, 0);
  if (map) {
    const heat = heatOf(map, look.colormap, look.threshold, finerBy(map));
    const small = new OffscreenCanvas(heat.width, heat.height);
    small.getContext('2d')?.putImageData(heat, 0, 0);
    const from = width * (1 - look.swipe);
    context.save();
    context.beginPath();
    context.rect(from, 0, width - from, height);
    context.clip();
    context.globalAlpha = look.opacity;
    context.imageSmoothingQuality = 'high';
    context.drawImage(small, geometry.x, geometry.y, geometry.width, geometry.height);
    context.restore();
  }
  const line = Math.max(1, Math.round(Math.min(width, height) / 200));
  for (const { x, y, width: w, height: h } of boxes)
    for (const [colour, thickness] of [
      ['#000', 3 * line],
      ['#fff', line],
    ] as const) {
      context.strokeStyle = colour;
      context.lineWidth = thickness;
      context.strokeRect(x, y, w, h);
    }
  return canvas;
}
