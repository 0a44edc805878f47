import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { oneOf } from '../../check.js';
import { GradcamppError } from '../../errors.js';
import { type Annotations, pictureKey } from '../annotations/annotation.js';
import { readCoco } from '../annotations/coco.js';
import { listFolder } from '../annotations/reading.js';
import { type ClassMapping, mappingByName, readMapping } from '../annotations/mapping.js';
import { readVoc } from '../annotations/voc.js';
import { readYolo } from '../annotations/yolo.js';
import type { LocalizationJob } from './annotated-picture.js';

export interface TruthSource {
  /** How the ground truth is written: label formats of boxes, or PNG masks. */
  readonly annotations: 'yolo' | 'voc' | 'coco' | 'masks';
  /** The folder of YOLO labels, VOC files or masks, or the COCO instances file. */
  readonly annotationPath: string;
}

/** Where the usual data sets keep their pictures and what is known of them, below their folder. */
const places: Readonly<
  Record<
    TruthSource['annotations'],
    { readonly images: readonly string[]; readonly truth: readonly string[] }
  >
> = {
  yolo: { images: ['images'], truth: ['labels'] },
  voc: { images: ['JPEGImages', 'images'], truth: ['Annotations'] },
  coco: { images: ['images'], truth: ['annotations.json', 'instances.json'] },
  masks: { images: ['images'], truth: ['masks'] },
};

/** The pictures and annotations of a data set folder that is laid out as its format usually is. */
export function findTruth(
  folder: string,
  annotations: TruthSource['annotations'],
): { readonly images: string; readonly annotationPath: string } {
  const { images, truth } = places[oneOf('boxes', annotations, ['yolo', 'voc', 'coco', 'masks'])];
  const found = (names: readonly string[]): string | undefined =>
    names.map((name) => join(folder, name)).find((path) => existsSync(path));
  const annotationPath = found(truth);
  if (annotationPath) return { images: found(images) ?? folder, annotationPath };
  throw new GradcamppError(
    'INVALID_OPTION',
    `"${folder}" must hold ${truth.join(' or ')} for ${annotations} annotations. Name the place with "annotations" otherwise.`,
  );
}

/** What is known of each picture, and the annotated classes. */
export async function readTruth({ annotations, annotationPath }: TruthSource): Promise<{
  readonly classes: ReadonlySet<string>;
  readonly of: (image: string) => Pick<LocalizationJob, 'objects' | 'masks'>;
}> {
  if (annotations === 'masks') {
    const files = await maskFiles(annotationPath);
    return {
      classes: new Set([...files.values()].flatMap((masks) => Object.keys(masks))),
      of: (image) => ({ masks: files.get(pictureKey(image)) }),
    };
  }
  const readers: Record<string, (path: string) => Promise<Annotations>> = {
    yolo: readYolo,
    voc: readVoc,
    coco: readCoco,
  };
  const read = readers[oneOf('annotations', annotations, ['yolo', 'voc', 'coco', 'masks'])];
  const objects = await read(annotationPath);
  return {
    classes: new Set([...objects.values()].flat().map((object) => object.class)),
    of: (image) => ({ objects: objects.get(pictureKey(image)) }),
  };
}

/** `<picture>.png` for whatever class is explained, `<class>/<picture>.png` for one class. Lighter than half is inside. */
async function maskFiles(folder: string): Promise<Map<string, Record<string, string>>> {
  const files = new Map<string, Record<string, string>>();
  const add = (name: string, path: string): void => {
    const key = pictureKey(path);
    files.set(key, { ...files.get(key), [name]: path });
  };
  for (const entry of await listFolder(folder, 'a folder of masks')) {
    const path = join(folder, entry.name);
    if (entry.name.endsWith('.png')) add('', path);
    else if (entry.isDirectory())
      for (const { name } of await listFolder(path, 'a folder of masks'))
        if (name.endsWith('.png')) add(entry.name, join(path, name));
  }
  if (files.size > 0) return files;
  throw new GradcamppError(
    'INVALID_OPTION',
    `"${folder}" must hold masks, <picture>.png or <class>/<picture>.png; received a folder without any.`,
  );
}

/** The mapping that was named, else classes of equal names; none where only masks without a class are given. */
export async function mappingOf(
  file: string | undefined,
  classes: readonly string[],
  annotated: ReadonlySet<string>,
): Promise<ClassMapping> {
  if (file !== undefined) return readMapping(file, classes);
  if (annotated.size === 1 && annotated.has('')) return () => undefined;
  return mappingByName(classes, annotated);
}
