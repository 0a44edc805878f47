import { join } from 'node:path';
import { parseXml, XmlElement } from '@rgrove/parse-xml';
import { GradcamppError, messageOf, show } from '../../errors.js';
import { type AnnotatedObject, type Annotations, pictureKey } from './annotation.js';
import { listFolder, readText } from './reading.js';

/**
 * Pascal VOC: a folder of `<picture>.xml` with `size` and `object`s of `name` and `bndbox`. Coordinates count pixels
 * from 1 and include both ends. Objects marked difficult are kept: the class is there.
 */
export async function readVoc(folder: string): Promise<Annotations> {
  const result = new Map<string, readonly AnnotatedObject[]>();
  for (const { name } of await listFolder(folder, 'a folder of Pascal VOC annotations')) {
    if (!name.endsWith('.xml')) continue;
    const path = join(folder, name);
    result.set(pictureKey(name), parseVoc(await readText(path, 'a Pascal VOC annotation'), path));
  }
  if (result.size === 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `${show(folder)} must hold Pascal VOC annotations, one <picture>.xml a picture; received a folder without any.`,
    );
  return result;
}

/** The objects of one VOC file; `path` is for messages. */
export function parseVoc(text: string, path: string): AnnotatedObject[] {
  let root: XmlElement | null;
  try {
    root = parseXml(text).root;
  } catch (error) {
    throw new GradcamppError('INVALID_OPTION', `${show(path)} is not XML: ${messageOf(error)}.`);
  }
  if (root?.name !== 'annotation')
    throw new GradcamppError(
      'INVALID_OPTION',
      `${show(path)} must be a VOC <annotation>; received <${root?.name}>.`,
    );
  const size = child(root, 'size');
  const width = numberOf(size, 'width', path);
  const height = numberOf(size, 'height', path);
  return children(root, 'object').map((object) => {
    const box = child(object, 'bndbox');
    return {
      class: child(object, 'name')?.text.trim() ?? '',
      box: {
        x0: (numberOf(box, 'xmin', path) - 1) / width,
        y0: (numberOf(box, 'ymin', path) - 1) / height,
        x1: numberOf(box, 'xmax', path) / width,
        y1: numberOf(box, 'ymax', path) / height,
      },
    };
  });
}

function children(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((node) => node instanceof XmlElement && node.name === name) as XmlElement[];
}

function child(element: XmlElement, name: string): XmlElement | undefined {
  return children(element, name)[0];
}

function numberOf(parent: XmlElement | undefined, name: string, path: string): number {
  const text = parent && child(parent, name)?.text;
  const value = Number(text);
  if (text !== undefined && text.trim() !== '' && value > 0) return value;
  throw new GradcamppError(
    'INVALID_OPTION',
    `<${name}> in ${show(path)} must be a number above 0; received ${show(text)}.`,
  );
}
