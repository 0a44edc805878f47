import { isUnreadFormat, LeftOut } from '../batch/inputs/left-out.js';
import { invalid } from '../check.js';
import { GradcamppError } from '../errors.js';
import { expandSources } from '../image/sources.js';
import { option } from '../options.js';

/** An option that takes pictures: files, folders or patterns. */
export function pictureSources(flag: string, help: string) {
  return option(
    (value, name) => {
      const isList = Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
      if (isList && value.length > 0) return value as readonly string[];
      throw invalid(name, 'a list of files, folders or patterns', value);
    },
    { help, flag, many: 'repeat', parse: (typed) => typed, default: [] as readonly string[] },
  );
}

/** The pictures that files, folders and patterns stand for, each once, and those of formats that are not read. */
export interface ListedPictures {
  readonly images: string[];
  readonly leftOut: LeftOut;
}

/**
 * @param name the option's
 * @param leftOut to which those are added that are left out
 */
export async function listPictures(
  sources: readonly string[],
  name = 'images',
  leftOut = new LeftOut(),
): Promise<ListedPictures> {
  if (sources.length === 0) throw invalid(name, 'a list of files, folders or patterns', sources);
  const images: string[] = [];
  const onSkipped = (path: string, reason: string) => {
    if (isUnreadFormat(reason)) leftOut.add(path, reason); // annotations may lie beside pictures
  };
  for await (const image of expandSources(sources, { onSkipped })) images.push(image);
  const seen = new Set<string>();
  for (const image of images) {
    if (seen.has(image))
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${name}" must not name a picture twice; received ${image} again.`,
      );
    seen.add(image);
  }
  return { images, leftOut };
}
