import type { ClipFrames } from '../../clip/clip.js';
import { boxInInput, type Geometry, regionOfBoxes } from '../annotations/region.js';
import type { LocalizationMetric } from '../localization/place.js';
import { type FrameBox, groupBy } from './tube-file.js';

/** A tube in the network's input. */
export interface TubePlace {
  /** 1 at the positions in the boxes, [T, H, W]. */
  readonly inside: Uint8Array;
  /** Share of the positions that are inside. */
  readonly area: number;
  /** For each frame the share of it that is inside; 0 where nothing acts. */
  readonly areas: readonly number[];
  /** For each frame its boxes as shares of the input. */
  readonly boxes: readonly (readonly (readonly [number, number, number, number])[])[];
}

/** A metric of tubes: it compares a map [T, H, W] with the tube. */
export interface TubeMetric extends Omit<LocalizationMetric, 'measure' | 'chance'> {
  readonly measure: (map: Float32Array, place: TubePlace) => number;
  /** What `byChance` comes to on this tube. */
  readonly chance: (place: TubePlace) => number;
}

/**
 * Where the boxes of a video's frames are in the network's input; undefined where it sees none of them.
 *
 * @param clip which frames of the video the input holds; default: the first, one after the other
 */
export function placeOfTube(
  boxes: readonly FrameBox[],
  geometry: Geometry,
  [frames, height, width]: readonly number[],
  { start, interval, count }: ClipFrames = { start: 0, interval: 1, count: frames, span: frames },
): TubePlace | undefined {
  const inside = new Uint8Array(frames * height * width);
  const byFrame = groupBy(boxes, ({ frame }) => frame);
  const seen = Array.from({ length: frames }, (_, t) => {
    // What a short video lacks is filled with its last frame.
    const own = byFrame.get(start + Math.min(t, count - 1) * interval) ?? [];
    return own.flatMap(({ box }) => boxInInput(box, geometry) ?? []);
  });
  const plane = height * width;
  const areas = seen.map((own, t) => {
    const region = regionOfBoxes(own, width, height);
    inside.set(region, t * plane);
    return region.reduce((sum, value) => sum + value, 0) / plane;
  });
  if (seen.every((own) => own.length === 0)) return undefined;
  return {
    inside,
    area: areas.reduce((sum, area) => sum + area, 0) / frames,
    areas,
    boxes: seen.map((own) =>
      own.map(({ x0, y0, x1, y1 }) => [x0 / width, y0 / height, x1 / width, y1 / height] as const),
    ),
  };
}
