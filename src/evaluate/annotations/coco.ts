import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { GradcamppError, messageOf, show } from '../../errors.js';
import {
  type AnnotatedBox,
  type AnnotatedObject,
  type Annotation,
  type AnnotationFormat,
  badAnnotation,
  boxAround,
  type Found,
} from './annotation.js';
import { firstOf, hasFolder } from './places.js';
import { readText } from './read-annotation.js';
import { boxOfRuns, type RunLengths } from './run-length.js';

/**
 * COCO instances: one JSON file. Boxes are `[x, y, width, height]` in pixels from 0; where there is none, that around the
 * segmentation is taken, polygons or run lengths. Crowds are kept: the class is there.
 */
export const coco: AnnotationFormat = {
  name: 'coco',
  layout:
    '`annotations/instances_<split>.json` beside `<split>/` or `images/<split>/`; or `annotations.json`, `instances.json` or `_annotations.coco.json` with the pictures beside it or in `images/`',
  find: async (folder) => {
    const found = findInstances(folder);
    return found ?? findInstances(dirname(folder), basename(folder));
  },
  read: async (path) => entriesOf(await parse(path), path),
};

const single = ['annotations.json', 'instances.json', '_annotations.coco.json', 'result.json', 'labels.json'];

/** The instances file of a folder, of the split that has pictures there. */
function findInstances(folder: string, wanted?: string): Found | undefined {
  const one = wanted === undefined ? firstOf(single.map((name) => join(folder, name))) : undefined;
  if (one)
    return { annotations: one, images: firstOf([join(folder, 'images'), join(folder, 'data')]) ?? folder };
  const annotations = join(folder, 'annotations');
  if (!hasFolder(annotations)) return undefined;
  const found = readdirSync(annotations)
    .sort()
    .flatMap((file): Found[] => {
      const split = /^instances_(.+)\.json$/.exec(file)?.[1];
      if (split === undefined || (wanted !== undefined && split !== wanted)) return [];
      const images = firstOf([join(folder, split), join(folder, 'images', split)]);
      const pictures = images ?? (wanted === undefined ? firstOf([join(folder, 'images')]) : undefined);
      return pictures ? [{ annotations: join(annotations, file), images: pictures }] : [];
    });
  if (found.length <= 1) return found[0];
  throw new GradcamppError(
    'INVALID_OPTION',
    `${show(folder)} holds several splits with pictures: ${found.map(({ images }) => show(images)).join(', ')}. Give the folder of one of them.`,
  );
}

/** The parts of an instances file; what is in their items is checked where it is used. */
interface Instances {
  readonly images: readonly Item[];
  readonly annotations: readonly Item[];
  readonly categories: readonly Item[];
}
type Item = Readonly<Record<string, unknown>>;

async function parse(path: string): Promise<Instances> {
  const text = await readText(path, 'COCO instances');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new GradcamppError(
      'INVALID_OPTION',
      `${show(path)} cannot be read as COCO instances: ${messageOf(error)}.`,
    );
  }
  for (const key of ['images', 'annotations', 'categories']) {
    const list = json !== null && typeof json === 'object' ? (json as Item)[key] : undefined;
    const isList = Array.isArray(list) && list.every((item) => item !== null && typeof item === 'object');
    if (!isList)
      throw new GradcamppError(
        'INVALID_OPTION',
        `${show(path)} is not a COCO instances file: ${list === undefined ? `it has no "${key}"` : `"${key}" must be a list of objects; received ${show(list)}`}.`,
      );
  }
  return json as Instances;
}

function entriesOf({ images, annotations, categories }: Instances, path: string) {
  const names = new Map(
    categories.map(({ id, name }) => [String(id), typeof name === 'string' ? name.trim() : '']),
  );
  const objects = new Map<string, (() => AnnotatedObject)[]>(images.map(({ id }) => [String(id), []]));
  let strangers = 0;
  for (const [i, item] of annotations.entries()) {
    const own = objects.get(String(item.image_id));
    if (own) own.push(() => objectOf(item, names, `annotations[${i}] in ${path}`));
    else strangers++;
  }
  const entries = images.flatMap((image, i) => {
    const { id, file_name: picture } = image;
    if (typeof picture !== 'string' || picture === '') return [];
    const read = async (): Promise<Annotation> => {
      if (id === undefined) throw badAnnotation(`images[${i}] in ${path} must have an "id"; it has none`);
      const [width, height] = [Number(image.width), Number(image.height)];
      return {
        objects: (objects.get(String(id)) ?? []).map((make) => make()),
        ...(width > 0 && height > 0 ? { declared: { width, height } } : {}),
      };
    };
    return [{ picture, source: `images[${i}] in ${path}`, files: [path], read }];
  });
  const nameless = images.length - entries.length;
  const remarks = [
    ...(strangers > 0
      ? [`${strangers} annotations in ${path} are of pictures that it does not list; they are left out.`]
      : []),
    ...(nameless > 0 ? [`${nameless} images in ${path} have no "file_name"; they are left out.`] : []),
  ];
  return { classes: [...names.values()].filter(Boolean), entries, remarks };
}

function objectOf(item: Item, names: ReadonlyMap<string, string>, place: string): AnnotatedObject {
  const name = names.get(String(item.category_id));
  if (!name)
    throw badAnnotation(
      `${place} must name a category of the file; received category_id ${show(item.category_id)}`,
    );
  return {
    class: name,
    box: boxOf(item, place),
    unit: 'pixel',
    place,
    isFlagged: Number(item.iscrowd) === 1,
  };
}

function boxOf({ bbox, segmentation }: Item, place: string): AnnotatedBox {
  const isBox = isNumbers(bbox) && bbox.length === 4;
  const [x, y, width, height] = isBox ? bbox : [];
  if (isBox && width > 0 && height > 0) return { x0: x, y0: y, x1: x + width, y1: y + height };
  const around = boxOfSegmentation(segmentation);
  if (around) return around;
  throw badAnnotation(
    `${place} must have a "bbox" of [x, y, width, height], or a "segmentation" of polygons or run lengths; received ${show(bbox)}`,
  );
}

function boxOfSegmentation(segmentation: unknown): AnnotatedBox | undefined {
  if (Array.isArray(segmentation)) {
    const polygons = segmentation.every((part) => typeof part === 'number') ? [segmentation] : segmentation;
    const whole = polygons.filter((polygon) => isNumbers(polygon) && polygon.length >= 6) as number[][];
    const points = whole.flatMap((polygon) =>
      Array.from({ length: Math.floor(polygon.length / 2) }, (_, i): [number, number] => [
        polygon[2 * i],
        polygon[2 * i + 1],
      ]),
    );
    return points.length > 0 ? boxAround(points) : undefined;
  }
  const { size, counts } = (segmentation ?? {}) as Partial<RunLengths>;
  const isSize =
    isNumbers(size) && size.length === 2 && size.every((edge) => Number.isSafeInteger(edge) && edge > 0);
  const isCounts = typeof counts === 'string' || isNumbers(counts);
  return isSize && isCounts ? boxOfRuns({ size: size as unknown as [number, number], counts }) : undefined;
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'number' && Number.isFinite(item));
}
