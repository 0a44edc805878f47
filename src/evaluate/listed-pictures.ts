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

/** The pictures that files, folders and patterns stand for; each once. `name` is the option's. */
export async function expand(sources: readonly string[], name = 'images'): Promise<string[]> {
  if (sources.length === 0) throw invalid(name, 'a list of files, folders or patterns', sources);
  const images: string[] = [];
  for await (const image of expandSources(sources)) images.push(image);
  const seen = new Set<string>();
  for (const image of images) {
    if (seen.has(image))
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${name}" must not name a picture twice; received ${image} again.`,
      );
    seen.add(image);
  }
  return images;
}
