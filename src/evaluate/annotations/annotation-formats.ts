import { oneOf } from '../../check.js';
import { GradcamppError, show } from '../../errors.js';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AnnotationFormat, Found } from './annotation.js';
import { coco } from './coco.js';
import { masks } from './mask-pictures.js';
import { voc } from './voc.js';
import { yolo } from './yolo.js';

/** Every way to annotate where things are. */
export const annotationFormats: readonly AnnotationFormat[] = [yolo, voc, coco, masks];
export const formatNames: readonly string[] = annotationFormats.map(({ name }) => name);

export function annotationFormat(name: unknown): AnnotationFormat {
  const known = oneOf('boxes', name, formatNames);
  return annotationFormats.find((format) => format.name === known) as AnnotationFormat;
}

/** The pictures and annotations of a data set folder that is laid out as its format usually is. */
export async function findAnnotations(folder: string, format: AnnotationFormat): Promise<Found> {
  const isFile = statSync(folder, { throwIfNoEntry: false })?.isFile() ?? false;
  const found = await format.find(isFile ? dirname(folder) : folder);
  if (found) return found;
  throw new GradcamppError(
    'INVALID_OPTION',
    `${show(folder)} must hold ${format.name} annotations: ${format.layout.replaceAll('`', '')}. Name the place with "annotations" otherwise.`,
  );
}
