import { encodeImage } from '../../image/encode.js';
import type { Pixels } from '../../image/pixels.js';
import { shrink } from '../../image/shrink.js';
import { resizeArea } from '../resize-area.js';

/** A report stays below 10 MB: this many characters are shared by its pictures. */
export const pictureBudget = 9_000_000;

export interface Thumbnails {
  /** Longest edge of a picture, in pixels. */
  readonly edge: number;
  /** Longest edge of a map. */
  readonly mapEdge: number;
  /** A data URL of the picture, shrunk, never enlarged. */
  picture(pixels: Pixels): Promise<string>;
  /** The map as bytes 0 … 255, shrunk by averaging, never enlarged; it is enlarged again where it is shown. */
  map(data: Float32Array, width: number): { data: Uint8Array; width: number };
}

const quality = 70;
/** Bytes a pixel of WebP of that quality, measured on ImageNet pictures, with a margin. */
const cost = 0.26;
const edges = [224, 192, 160, 128, 112, 96, 80, 64, 56, 48, 40, 32, 24, 16];
const mapEdges = [28, 21, 14];

/**
 * Thumbnails, as WebP, so small that `count` pictures with `series` maps each fit the budget. The size depends on the counts
 * and the picture alone, so equal runs give equal files.
 */
export function openThumbnails(count: number, series: number): Thumbnails {
  const share = pictureBudget / Math.max(count, 1) - 400;
  const base64 = 4 / 3;
  const mapEdge = mapEdges.find((edge) => series * edge ** 2 * base64 <= share * 0.45) ?? 14;
  const left = share - series * mapEdge ** 2 * base64;
  const edge = edges.find((edge) => edge ** 2 * cost * base64 <= left) ?? 16;

  const picture = async (pixels: Pixels): Promise<string> => {
    let url = '';
    for (const smaller of edges.slice(edges.indexOf(edge))) {
      const file = await encodeImage(shrink(pixels, smaller), { format: 'webp', quality });
      url = `data:image/webp;base64,${file.toString('base64')}`;
      if (url.length <= left) break; // a noisy picture costs more than most: it becomes smaller
    }
    return url;
  };
  return { edge, mapEdge, picture, map: (data, width) => shrinkMap(data, width, mapEdge) };
}

function shrinkMap(data: Float32Array, width: number, edge: number): { data: Uint8Array; width: number } {
  const height = data.length / width;
  const scale = Math.min(1, edge / Math.max(width, height));
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const small = resizeArea(data, width, height, w, h);
  return { data: Uint8Array.from(small, (value) => Math.round(value * 255)), width: w };
}
