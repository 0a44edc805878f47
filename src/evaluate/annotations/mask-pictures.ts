import { join, resolve } from 'node:path';
import { GradcamppError, show } from '../../errors.js';
import { imageExtensions } from '../../image/formats.js';
import type { AnnotationFormat } from './annotation.js';
import { anyExtension } from './matching.js';
import { firstOf, hasFolder, siblingFolder } from './places.js';
import { listFiles } from './read-annotation.js';

/**
 * Masks as pictures: `<picture>.png` for whatever class is explained, `<class>/<picture>.png` for one class; the pictures' own
 * folders may lie below. What is inside is decided in `mask.ts`.
 */
export const masks: AnnotationFormat = {
  name: 'masks',
  layout: '`masks/<picture>.png` for whatever class is explained, `masks/<class>/<picture>.png` for one',
  find: async (folder) => {
    const annotations = join(folder, 'masks');
    if (hasFolder(annotations)) return { images: firstOf([join(folder, 'images')]) ?? folder, annotations };
    const sibling = siblingFolder(folder, 'images', 'masks');
    return sibling ? { images: folder, annotations: sibling } : undefined;
  },
  read: async (folder, images) => {
    const files = await listFiles(folder, imageExtensions, 'a folder of masks');
    if (files.length === 0)
      throw new GradcamppError(
        'INVALID_OPTION',
        `${show(folder)} must hold masks, <picture>.png or <class>/<picture>.png; received a folder without any.`,
      );
    const folders = pictureFolders(images);
    const byPicture = new Map<string, Record<string, string>>();
    for (const file of files) {
      const [first, ...rest] = file.split('/');
      const isClass = rest.length > 0 && !folders.has(first);
      const picture = anyExtension(isClass ? rest.join('/') : file);
      const own = byPicture.get(picture) ?? {};
      own[isClass ? first : ''] = join(folder, file);
      byPicture.set(picture, own);
    }
    return {
      classes: [...new Set([...byPicture.values()].flatMap((own) => Object.keys(own)))],
      entries: [...byPicture].map(([picture, own]) => ({
        picture,
        source: Object.values(own)[0],
        files: Object.values(own),
        read: async () => ({ masks: own }),
      })),
    };
  },
};

/** The folders that tell pictures apart, and the one that all lie in: a folder of masks of such a name is no class. */
function pictureFolders(images: readonly string[]): Set<string> {
  const all = images.map((image) => resolve(image).split(/[/\\]/).slice(0, -1));
  const [first = []] = all;
  const shared = all.reduce((count, folders) => {
    const differs = first.slice(0, count).findIndex((folder, i) => folders[i] !== folder);
    return differs < 0 ? count : differs;
  }, first.length);
  return new Set(all.flatMap((folders) => folders.slice(Math.max(0, shared - 1))));
}
