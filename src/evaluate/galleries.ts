import type { FaithfulnessRecord } from './faithfulness/measure.js';
import type { GridRecord, GridSettings } from './grid/measure.js';
import type { LocalizationRecord } from './localization/measure.js';
import { drop } from './metrics/confidence.js';
import { gridCells } from './metrics/grid.js';
import type { ShownPicture } from './report/gallery.js';
import { format } from './report/number.js';
import type { Gallery, GalleryItem } from './report/report.js';
import type { SanityChunk } from './sanity/measure.js';
import type { Subject, Variant } from './subject.js';
import type { Measured } from './tasks.js';

/** What all galleries need. */
interface Setting {
  readonly subject: Subject;
  readonly variants: readonly Variant[];
  /** Pictures of the evaluation, shown or not. */
  readonly total: number;
}

/** One picture before its maps are put beside its scores. */
interface Entry {
  readonly item: Pick<GalleryItem, 'name' | 'class' | 'caption' | 'boxes'>;
  readonly shown: ShownPicture;
  /** One a variant: the value that pictures are sorted by, and what is written under the map. */
  readonly values: readonly number[];
  readonly scores: readonly string[];
}

function galleryOf(
  entries: readonly Entry[],
  { subject, variants, total }: Setting,
  order: { readonly title: string; readonly ascending?: boolean },
): Gallery {
  const [height, width] = subject.size.slice(-2);
  const folder = commonFolder(entries.map(({ item }) => item.name));
  const several = variants.filter((variant) => variant.method !== 'random').length > 1;
  return {
    total,
    aspect: width / height,
    pixelated: width < 64,
    orders: [
      ...(several ? [{ title: 'disagreement' }] : []),
      ...variants.map(({ name }) => ({ ...order, title: `${order.title} of ${name}` })),
    ],
    items: [...entries]
      .sort((a, b) => (a.item.name < b.item.name ? -1 : a.item.name > b.item.name ? 1 : 0))
      .map(({ item, shown, values, scores }) => ({
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

export function faithfulnessGallery(
  measured: readonly Measured<FaithfulnessRecord>[],
  setting: Setting,
): Gallery {
  const entries = measured.flatMap(({ record, shown }): Entry[] => {
    const drops = record.variants.map((variant) => drop(record.full, variant.masked));
    const item = {
      name: record.image,
      class: setting.subject.classes[record.class],
      caption: `p = ${record.full.toFixed(2)}`,
    };
    const scores = drops.map((value) => `drop ${(100 * value).toFixed(0)} %`);
    return shown.map((picture) => ({ item, shown: picture, values: drops, scores }));
  });
  return galleryOf(entries, setting, { title: 'drop' });
}

export function localizationGallery(
  measured: readonly Measured<LocalizationRecord>[],
  deltas: readonly number[],
  setting: Setting,
): Gallery {
  const middle = Math.floor(deltas.length / 2);
  const entries = measured.flatMap(({ record, shown }): Entry[] => {
    const item = {
      name: record.image,
      class: record.annotated ?? '(mask)',
      caption: `explained as ${setting.subject.classes[record.class]}, p = ${record.probability.toFixed(2)}`,
      boxes: record.boxes,
    };
    const values = record.variants.map((variant) => variant.localization[middle]);
    const scores = values.map((value) => `Loc(${deltas[middle]}) ${value.toFixed(2)}`);
    return shown.map((picture) => ({ item, shown: picture, values, scores }));
  });
  return galleryOf(entries, setting, { title: `Loc(${deltas[middle]})` });
}

export function gridGallery(
  measured: readonly Measured<GridRecord>[],
  { size }: GridSettings,
  setting: Setting,
): Gallery {
  const cells = gridCells(size, size * 1000, size * 1000).map(
    ({ x0, y0, x1, y1 }) =>
      [x0, y0, x1, y1].map((edge) => edge / (size * 1000)) as [number, number, number, number],
  );
  const entries = measured.flatMap(({ record, shown }): Entry[] =>
    shown.map((picture, i) => {
      const cell = record.cells[i];
      const values = cell.variants.map((variant) => variant.score);
      return {
        item: {
          name: `${record.image}, cell ${i + 1}`,
          class: setting.subject.classes[cell.class],
          caption: `p = ${cell.probability.toFixed(2)} on the grid`,
          boxes: [cells[i]],
        },
        shown: picture,
        values,
        scores: values.map((value) => `${(100 * value).toFixed(0)} % inside`),
      };
    }),
  );
  return galleryOf(entries, setting, { title: 'share inside' });
}

export function sanityGallery(
  measured: readonly Measured<SanityChunk>[],
  lastStage: number,
  setting: Setting,
): Gallery {
  const entries = measured.flatMap(({ record: { records }, shown }): Entry[] =>
    shown.map((picture, i) => {
      const record = records[i];
      const values = record.stages[lastStage].map(({ rank }) => rank);
      return {
        item: { name: record.image, class: setting.subject.classes[record.class], caption: '' },
        shown: picture,
        values,
        scores: values.map((value) =>
          Number.isNaN(value) ? 'randomised: empty' : `randomised: rank correlation ${format(value, 2)}`,
        ),
      };
    }),
  );
  return galleryOf(entries, setting, { title: 'similarity after randomisation' });
}
