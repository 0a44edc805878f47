import type { Settings } from './settings.js';
import { isOfKind } from './targets.js';

/** The line that explains the same picture in a terminal. */
export function commandFor(
  { target, methods, layer, opacity, threshold, colormap }: Settings,
  {
    picture,
    model,
    preprocess,
  }: { readonly picture: string; readonly model: string; readonly preprocess?: string },
): string {
  const flags: [string, string | undefined][] = [
    ['--model', model],
    ['--preprocess', preprocess],
    ['--target', isOfKind(target) ? target : undefined],
    ['--class', isOfKind(target) || target === '' ? undefined : target],
    ['--layer', layer || undefined],
    ['--method', methods.join(',')],
    ['--threshold', String(threshold)],
    ['--opacity', String(opacity)],
    ['--colormap', colormap],
    ['--save', 'overlay,npy'],
    ['--out', 'maps'],
  ];
  const typed = flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, quoted(value)]));
  return ['gradcampp explain', quoted(picture.startsWith('-') ? `./${picture}` : picture), ...typed].join(
    ' ',
  );
}

/** A word as a shell takes it; single quotes keep all but themselves. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
