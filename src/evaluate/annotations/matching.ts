import { extname, resolve } from 'node:path';
import { imageExtensions } from '../../image/formats.js';
import type { AnnotationEntry } from './annotation.js';

/** Folders that only say what lies in them: they differ between pictures and annotations of the same path. */
const layoutFolders = ['images', 'labels', 'jpegimages', 'annotations', 'masks'];

export function isLayoutFolder(name: string): boolean {
  return layoutFolders.includes(name.toLowerCase());
}

/** A picture's path as what it is compared by: folders and name, without the extension. */
interface Key {
  readonly parts: readonly string[];
  /** In lower case; '' where it is not said. */
  readonly extension: string;
}

/** What an annotation calls a picture whose extension it does not know, such as `cat/a.*` of `cat/a.txt`. */
export function anyExtension(path: string): string {
  return `${path.slice(0, path.length - extname(path).length)}.*`;
}

/** `images/cat/a.jpg` → cat, a. Names are compared in one Unicode form: macOS writes another one. */
function keyOf(path: string, isExtension: (extension: string) => boolean): Key {
  const all = path
    .normalize('NFC')
    .split(/[/\\]+/)
    .filter((part) => part !== '' && part !== '.');
  const file = all.pop() ?? '';
  const folders = all.filter((folder) => !isLayoutFolder(folder));
  const extension = extname(file).toLowerCase();
  if (!isExtension(extension)) return { parts: [...folders, file], extension: '' };
  const name = file.slice(0, file.length - extension.length);
  return { parts: [...folders, name], extension: extension === '.*' ? '' : extension };
}

/** What belongs to a picture: its annotation, nothing, or a sentence why that cannot be said. */
export type Match = AnnotationEntry | { readonly problem: string } | undefined;

/**
 * The annotation of each picture. Relative paths are the key: of the annotations of a picture's name, the one whose path
 * agrees with the picture's for most folders. A name alone is enough where no other picture and no other annotation has it.
 */
export function matchAnnotations(images: readonly string[], entries: readonly AnnotationEntry[]): Match[] {
  const keys = images.map((image) => keyOf(resolve(image), () => true));
  const root = commonFolder(keys);
  const index = indexOf(entries);
  const matches: Match[] = images.map(() => undefined);
  const claims = new Map<AnnotationEntry, Claim[]>();
  keys.forEach((picture, i) => {
    const [own, other] = nearestOf(picture, index);
    if (other) {
      const sources = `${own.entry.source} or ${other.entry.source}`;
      matches[i] = { problem: `${JSON.stringify(images[i])} could be annotated by ${sources}: ${advice}` };
    } else if (own) {
      const isExact = equal(picture.parts.slice(root), own.key.parts);
      const claim = { i, picture, own, strength: own.agreeing + (isExact ? 0.5 : 0) };
      const list = claims.get(own.entry);
      if (list) list.push(claim);
      else claims.set(own.entry, [claim]);
    }
  });
  for (const [entry, claimants] of claims) {
    const strongest = claimants.reduce((most, { strength }) => Math.max(most, strength), 0);
    const best = claimants.filter(({ strength }) => strength === strongest);
    const rival = best.find(({ picture }) => !equal(picture.parts, best[0].picture.parts));
    const named = best.filter(({ picture, own }) => hasExtensionOf(picture, own.key));
    const pictures = rival && `${JSON.stringify(images[best[0].i])} or of ${JSON.stringify(images[rival.i])}`;
    for (const { i } of named.length > 0 && !rival ? named : best)
      matches[i] = rival ? { problem: `${entry.source} could be of ${pictures}: ${advice}` } : entry;
  }
  return matches;
}

const advice = 'pictures and annotations must lie in folders of the same names, or have names of their own.';

/** A picture for which an annotation is the nearest. */
interface Claim {
  readonly i: number;
  readonly picture: Key;
  readonly own: Candidate;
  /** How far the paths agree; more where they are the same from the folder of all pictures on. */
  readonly strength: number;
}

interface Candidate {
  readonly entry: AnnotationEntry;
  readonly key: Key;
  /** Names from the end of the path that are the same. */
  readonly agreeing: number;
}

/** Folders of a path that are compared, with its name. */
const deepest = 12;

/** The annotations whose paths end so, by the end and by the end with the extension; two are as good as many. */
function indexOf(entries: readonly AnnotationEntry[]): Map<string, Candidate[]> {
  const index = new Map<string, Candidate[]>();
  const add = (end: string, candidate: Candidate) => {
    const list = index.get(end);
    if (!list) index.set(end, [candidate]);
    else if (list.length < 2) list.push(candidate);
  };
  for (const entry of entries) {
    const key = keyOf(
      entry.picture,
      (extension) => extension === '.*' || imageExtensions.includes(extension),
    );
    for (let agreeing = 1; agreeing <= Math.min(key.parts.length, deepest); agreeing++) {
      const end = endOf(key, agreeing);
      add(end, { entry, key, agreeing });
      if (key.extension !== '') add(end + key.extension, { entry, key, agreeing });
    }
  }
  return index;
}

/** The annotations that agree most: with several, in the extension too, where an annotation has one. */
function nearestOf(picture: Key, index: ReadonlyMap<string, Candidate[]>): Candidate[] {
  for (let agreeing = Math.min(picture.parts.length, deepest); agreeing > 0; agreeing--) {
    const end = endOf(picture, agreeing);
    const found = index.get(end + picture.extension) ?? index.get(end);
    if (found) return found;
  }
  return [];
}

/** No name holds a slash, and none of the ends with an extension is one without. */
function endOf({ parts }: Key, count: number): string {
  return `${parts.slice(-count).join('/')}/`;
}

/** Whether an annotation names the picture's extension. */
function hasExtensionOf(picture: Key, annotation: Key): boolean {
  return annotation.extension !== '' && annotation.extension === picture.extension;
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((part, i) => part === b[i]);
}

/** How many folders all pictures lie in. */
function commonFolder(keys: readonly Key[]): number {
  if (keys.length === 0) return 0;
  const [first] = keys;
  let shared = first.parts.length - 1;
  for (const { parts } of keys) {
    let same = 0;
    while (same < shared && same < parts.length - 1 && parts[same] === first.parts[same]) same++;
    shared = same;
  }
  return shared;
}
