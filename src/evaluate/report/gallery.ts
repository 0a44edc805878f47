import { random } from '../../random-stream.js';
import type { MeasuredPicture } from '../measurement.js';
import type { ExplanationMap, Subject, Variant } from '../subject.js';
import type { Gallery, GalleryItem, GalleryOrder, ShownPicture } from './report.js';
import { sheetGrid, sheetOfMap } from './frame-sheet.js';
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

export async function showPicture(
  thumbnails: Thumbnails,
  { view, maps }: MeasuredPicture,
  isControl: readonly boolean[],
  size: readonly number[],
): Promise<ShownPicture> {
  const shown = (map: ExplanationMap) => {
    if (map.empty) return { data: new Uint8Array(0), width: 1 };
    const { data, width } = sheetOfMap(map.data, size);
    return thumbnails.map(data, width);
  };
  return {
    picture: await thumbnails.picture(view()),
    maps: maps.map(shown),
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

/** One picture before its maps are put beside their scores. */
export interface GalleryEntry extends Pick<GalleryItem, 'name' | 'class' | 'caption' | 'boxes'> {
  readonly shown: ShownPicture;
  /** One a variant: the value that pictures are sorted by, and what is written under the map. */
  readonly values: readonly number[];
  readonly scores: readonly string[];
}

/** The gallery of a report: the pictures by name, and what they can be sorted by. */
export function galleryOf(
  { entries, order, total }: { entries: readonly GalleryEntry[]; order: GalleryOrder; total: number },
  subject: Subject,
  variants: readonly Variant[],
): Gallery {
  const [height, width] = subject.size.slice(-2);
  const { rows, columns } = sheetGrid(subject.size);
  const folder = commonFolder(entries.map(({ name }) => name));
  const several = variants.filter((variant) => variant.method !== 'random').length > 1;
  return {
    total,
    aspect: (columns * width) / (rows * height),
    pixelated: columns * width < 64,
    orders: [
      ...(several ? [{ title: 'disagreement' }] : []),
      ...variants.map(({ name }) => ({ ...order, title: `${order.title} of ${name}` })),
    ],
    items: [...entries]
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
      .map(({ shown, values, scores, ...item }) => ({
        ...item,
        name: item.name.slice(folder.length),
        picture: shown.picture,
        values: [...(several ? [shown.disagreement] : []), ...values],
        maps: shown.maps.map((map, v) => ({ ...map, score: scores[v] })),
      })),
  };
}

/** The folders that all names begin with. */
function commonFolder(names: readonly string[]): string {
  const folderOf = (name: string): string => name.slice(0, name.lastIndexOf('/') + 1);
  return names.map(folderOf).reduce(
    (a, b) => {
      let shared = a;
      while (!b.startsWith(shared)) shared = folderOf(shared.slice(0, -1));
      return shared;
    },
    folderOf(names[0] ?? ''),
  );
}
