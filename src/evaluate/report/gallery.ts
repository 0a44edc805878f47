import { random } from '../../random-stream.js';
import type { MeasuredPicture } from '../measurement.js';
import type { ExplanationMap } from '../subject.js';
import type { GalleryMap } from './report.js';
import type { Thumbnails } from './thumbnail.js';

/** At most this many pictures are shown in a report. */
export const galleryLimit = 1000;

/** Which pictures a report shows: all, or a seeded draw that does not depend on their order. */
export function chooseShown(images: readonly string[], seed: number, limit = galleryLimit): Set<string> {
  if (images.length <= limit) return new Set(images);
  return new Set(
    random(seed, 'gallery')
      .shuffle([...images].sort())
      .slice(0, limit),
  );
}

/** What a report keeps of one picture. */
export interface ShownPicture {
  readonly picture: string;
  readonly maps: readonly Omit<GalleryMap, 'score'>[];
  /** Mean absolute difference between the maps, over all pairs that are not random: 0 agree, 1 opposite. */
  readonly disagreement: number;
}

export async function showPicture(
  thumbnails: Thumbnails,
  picture: MeasuredPicture,
  isControl: readonly boolean[],
): Promise<ShownPicture> {
  const view = picture.view();
  const { maps } = picture;
  return {
    picture: await thumbnails.picture(view),
    maps: maps.map((map) =>
      map.empty ? { data: new Uint8Array(0), width: 1 } : thumbnails.map(map.data, view.width),
    ),
    disagreement: disagreement(maps.filter((_, i) => !isControl[i])),
  };
}

function disagreement(maps: readonly ExplanationMap[]): number {
  let sum = 0;
  let pairs = 0;
  for (let i = 0; i < maps.length; i++)
    for (let j = i + 1; j < maps.length; j++, pairs++) {
      const [a, b] = [maps[i].data, maps[j].data];
      for (let p = 0; p < a.length; p++) sum += Math.abs(a[p] - b[p]) / a.length;
    }
  return pairs > 0 ? sum / pairs : NaN;
}
