import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { XmlElement } from '@rgrove/parse-xml';
import { GradcamppError, messageOf, show } from '../../errors.js';
import { decodeText } from '../../decode-text.js';
import {
  type AnnotatedBox,
  type AnnotatedObject,
  type Annotation,
  type AnnotationFormat,
  badAnnotation,
  boxAround,
} from './annotation.js';
import { anyExtension } from './matching.js';
import { firstOf, hasFolder, siblingFolder } from './places.js';
import { listFiles, readFileOf } from './read-annotation.js';

/**
 * Pascal VOC: an XML file for each picture with its `size` and `object`s of `name` and `bndbox`, `robndbox` (an oriented box)
 * or `polygon`. Coordinates count pixels from 1 and include both ends; 0 is taken for the edge. Objects marked difficult are
 * kept: the class is there.
 */
export const voc: AnnotationFormat = {
  name: 'voc',
  layout:
    '`Annotations/` beside `JPEGImages/` or `images/`, with the same folders in both, or `<picture>.xml` beside the picture',
  find: async (folder) => {
    const annotations = join(folder, 'Annotations');
    if (hasFolder(annotations))
      return {
        images: firstOf([join(folder, 'JPEGImages'), join(folder, 'images')]) ?? folder,
        annotations,
      };
    for (const pictures of ['JPEGImages', 'images']) {
      const sibling = siblingFolder(folder, pictures, 'Annotations');
      if (sibling) return { images: folder, annotations: sibling };
    }
    const files = existsSync(folder) ? await listFiles(folder, ['.xml'], 'Pascal VOC annotations') : [];
    return files.length > 0 ? { images: folder, annotations: folder } : undefined;
  },
  read: async (folder) => {
    const files = await listFiles(folder, ['.xml'], 'a folder of Pascal VOC annotations');
    if (files.length === 0)
      throw new GradcamppError(
        'INVALID_OPTION',
        `${show(folder)} must hold Pascal VOC annotations, one <picture>.xml a picture; received a folder without any.`,
      );
    const entries = files.map((file) => {
      const path = join(folder, file);
      const read = async () => parseVoc(await readXml(path), path);
      return { picture: anyExtension(file), source: path, files: [path], read };
    });
    return { entries };
  },
};

/** The text of an XML file, in the encoding that it declares. */
async function readXml(path: string): Promise<string> {
  const bytes = await readFileOf(path, 'a Pascal VOC annotation');
  const head = bytes.subarray(0, 200).toString('latin1');
  return decodeText(bytes, /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(head)?.[1]);
}

/** The annotation of one VOC file; `path` is for messages. */
export async function parseVoc(text: string, path: string): Promise<Annotation> {
  const { parseXml } = await import('@rgrove/parse-xml');
  let root: XmlElement | null;
  try {
    root = parseXml(text, { includeOffsets: true }).root;
  } catch (error) {
    const why = error instanceof RangeError ? 'its elements are nested too deeply' : messageOf(error);
    throw badAnnotation(`${show(path)} is not XML: ${why.replace(/\.$/, '')}`);
  }
  if (root?.name !== 'annotation')
    throw badAnnotation(`${show(path)} must be a VOC <annotation>; received <${root?.name}>`);
  const size = child(root, 'size');
  const [width, height] = ['width', 'height'].map((edge) => Number(size && child(size, edge)?.text));
  return {
    objects: children(root, 'object').map((object) => {
      const line = text.slice(0, object.start).split('\n').length;
      return objectOf(object, `${path}:${line}`);
    }),
    ...(width > 0 && height > 0 ? { declared: { width, height } } : {}),
  };
}

function objectOf(object: XmlElement, place: string): AnnotatedObject {
  const name = child(object, 'name')?.text.trim();
  if (!name) throw badAnnotation(`<object> in ${place} must hold a <name>; it has none`);
  const difficult = child(object, 'difficult')?.text.trim();
  return {
    class: name,
    box: boxOf(object, place),
    unit: 'pixel',
    place: `<object> in ${place}`,
    isFlagged:
      difficult !== undefined && !['', '0', 'false', 'no', 'unspecified'].includes(difficult.toLowerCase()),
  };
}

function boxOf(object: XmlElement, place: string): AnnotatedBox {
  const [box, rotated, polygon] = ['bndbox', 'robndbox', 'polygon'].map((name) => child(object, name));
  if (box) {
    const [x0, y0, x1, y1] = ['xmin', 'ymin', 'xmax', 'ymax'].map((edge) => numberOf(box, edge, place));
    if (x1 < x0 || y1 < y0)
      throw badAnnotation(
        `<bndbox> in ${place} must have its xmax and ymax beyond xmin and ymin; received ${[x0, y0, x1, y1].join(', ')}`,
      );
    return { x0: Math.max(0, x0 - 1), y0: Math.max(0, y0 - 1), x1, y1 };
  }
  if (rotated) return boxAround(cornersOf(rotated, place));
  if (polygon) {
    const points = pointsOf(polygon, place);
    if (points.length >= 3) return boxAround(points);
  }
  throw badAnnotation(`<object> in ${place} must hold a <bndbox>, a <robndbox> or a <polygon>; it has none`);
}

/** The corners of a box that is turned by an angle in radians about its centre. */
function cornersOf(rotated: XmlElement, place: string): [number, number][] {
  const [cx, cy, w, h, angle] = ['cx', 'cy', 'w', 'h', 'angle'].map((name) => numberOf(rotated, name, place));
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return [
    [-w, -h],
    [w, -h],
    [w, h],
    [-w, h],
  ].map(([x, y]) => [cx + (x * cos - y * sin) / 2, cy + (x * sin + y * cos) / 2]);
}

/** `<pt><x/><y/></pt>` or `<x1/><y1/><x2/>…` */
function pointsOf(polygon: XmlElement, place: string): [number, number][] {
  const points = children(polygon, 'pt');
  if (points.length > 0)
    return points.map((point) => [numberOf(point, 'x', place), numberOf(point, 'y', place)]);
  const found: [number, number][] = [];
  while (child(polygon, `x${found.length + 1}`)) {
    const n = found.length + 1;
    found.push([numberOf(polygon, `x${n}`, place), numberOf(polygon, `y${n}`, place)]);
  }
  return found;
}

function children(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter(
    (node) => node.type === 'element' && (node as XmlElement).name === name,
  ) as XmlElement[];
}

function child(element: XmlElement, name: string): XmlElement | undefined {
  return children(element, name)[0];
}

function numberOf(parent: XmlElement, name: string, place: string): number {
  const text = child(parent, name)?.text.trim();
  const value = Number(text);
  if (text !== undefined && text !== '' && Number.isFinite(value)) return value;
  throw badAnnotation(`<${name}> in ${place} must be a number; received ${show(text)}`);
}
