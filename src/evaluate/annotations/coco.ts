import * as v from 'valibot';
import { GradcamppError, messageOf, show } from '../../errors.js';
import { type AnnotatedObject, type Annotations, pictureKey } from './annotation.js';
import { readText } from './reading.js';

const positive = v.pipe(v.number(), v.gtValue(0));
const instances = v.object({
  images: v.array(v.object({ id: v.number(), file_name: v.string(), width: positive, height: positive })),
  annotations: v.array(
    v.object({
      image_id: v.number(),
      category_id: v.number(),
      bbox: v.tuple([v.number(), v.number(), v.number(), v.number()]),
    }),
  ),
  categories: v.array(v.object({ id: v.number(), name: v.string() })),
});

/** COCO instances: one JSON file; boxes are `[x, y, width, height]` in pixels from 0. Crowds are kept: the class is there. */
export async function readCoco(path: string): Promise<Annotations> {
  const { images, annotations, categories } = await parse(path);
  const names = new Map(categories.map((category) => [category.id, category.name]));
  const pictures = new Map(images.map((image) => [image.id, { ...image, objects: [] as AnnotatedObject[] }]));
  for (const { image_id, category_id, bbox } of annotations) {
    const picture = pictures.get(image_id);
    const name = names.get(category_id);
    if (!picture || name === undefined)
      throw new GradcamppError(
        'INVALID_OPTION',
        `An annotation in ${show(path)} names ${picture ? `category ${category_id}` : `image ${image_id}`}, which the file does not list.`,
      );
    const [x, y, width, height] = bbox;
    picture.objects.push({
      class: name,
      box: {
        x0: x / picture.width,
        y0: y / picture.height,
        x1: (x + width) / picture.width,
        y1: (y + height) / picture.height,
      },
    });
  }
  return new Map([...pictures.values()].map((picture) => [pictureKey(picture.file_name), picture.objects]));
}

async function parse(path: string): Promise<v.InferOutput<typeof instances>> {
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
  const result = v.safeParse(instances, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const place = v.getDotPath(issue) ?? 'the whole';
  const wrong =
    issue.received === 'undefined'
      ? `it has no "${place}"`
      : `${place} must be ${issue.expected}; received ${issue.received}`;
  throw new GradcamppError('INVALID_OPTION', `${show(path)} is not a COCO instances file: ${wrong}.`);
}
