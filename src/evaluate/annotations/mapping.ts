import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { didYouMean } from '../../check.js';
import { GradcamppError, show } from '../../errors.js';
import { readText, whyUnreadable } from '../../files.js';

/** The annotation class that a network's class stands for, by class index; undefined where none does. */
export type ClassMapping = (classIndex: number) => string | undefined;

const mappingFile = v.object({
  description: v.optional(v.string()),
  classes: v.record(v.string(), v.record(v.pipe(v.string(), v.digits()), v.string())),
});

/** Mappings that ship with the package, usable by name. */
export const shippedMappings = ['imagenet-to-coco', 'imagenet-to-voc'] as const;

/**
 * Reads a mapping file, or a shipped one by its name: `{"classes": {"<annotation class>": {"<class index>": "<class
 * name>"}}}`. The names must be the network's own, so that a mapping for another class list is noticed.
 */
export async function readMapping(file: string, classes: readonly string[]): Promise<ClassMapping> {
  const shipped = (shippedMappings as readonly string[]).includes(file);
  const path = shipped
    ? fileURLToPath(new URL(`../../../assets/mappings/${file}.json`, import.meta.url))
    : file;
  let json: unknown;
  try {
    json = JSON.parse(await readText(path));
  } catch (error) {
    throw new GradcamppError(
      'INVALID_OPTION',
      `The class mapping ${show(file)} cannot be read: ${whyUnreadable(error)}. Shipped: ${shippedMappings.join(', ')}. ${didYouMean(file, shippedMappings)}`.trim(),
    );
  }
  const parsed = v.safeParse(mappingFile, json);
  if (!parsed.success)
    throw new GradcamppError(
      'INVALID_OPTION',
      `The class mapping ${show(file)} must be {"classes": {"<annotation class>": {"<class index>": "<class name>"}}}: ${parsed.issues[0].message}.`,
    );
  const byIndex = new Map<number, string>();
  for (const [target, members] of Object.entries(parsed.output.classes))
    for (const [index, name] of Object.entries(members)) {
      const own = classes[Number(index)];
      if (own !== name)
        throw new GradcamppError(
          'INVALID_OPTION',
          `The class mapping ${show(file)} says that class ${index} is ${show(name)}; the network ${own === undefined ? `has ${classes.length} classes` : `calls it ${show(own)}`}. It was made for another list of classes.`,
        );
      byIndex.set(Number(index), target);
    }
  return (index) => byIndex.get(index);
}

/** The mapping of a network that was trained on the annotated classes themselves: equal names, whatever their case. */
export function mappingByName(classes: readonly string[], annotated: Iterable<string>): ClassMapping {
  const names = new Map([...annotated].map((name) => [name.toLowerCase(), name]));
  const mapped = classes.map((name) => names.get(name.toLowerCase()));
  if (mapped.every((name) => name === undefined))
    throw new GradcamppError(
      'INVALID_OPTION',
      `No class of the network is called as an annotated class (${[...names.values()].slice(0, 5).join(', ')}, ...). Give a mapping; shipped: ${shippedMappings.join(', ')}.`,
    );
  return (index) => mapped[index];
}
