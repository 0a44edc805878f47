import type { Settings } from './settings.js';
import type { CaptionFiles } from './state.js';
import { isOfKind } from './targets.js';

/** The line that explains the same picture in a terminal. */
export function commandFor(
  { target, text, methods, layer, opacity, threshold, colormap }: Settings,
  {
    picture,
    model,
    preprocess,
    caption,
  }: {
    readonly picture: string;
    readonly model: string;
    readonly preprocess?: string;
    readonly caption?: CaptionFiles['paths'];
  },
): string {
  const flags: (readonly [string, string | undefined])[] = [
    [caption ? '--encoder' : '--model', model],
    ['--decoder', caption?.decoder],
    ['--tokenizer', caption?.tokenizer],
    ['--preprocess', preprocess],
    ...(caption
      ? ([['--text', text || undefined]] as const)
      : ([
          ['--target', isOfKind(target) ? target : undefined],
          ['--class', isOfKind(target) || target === '' ? undefined : target],
        ] as const)),
    ['--layer', layer || undefined],
    ['--method', methods.join(',')],
    ['--threshold', String(threshold)],
    ['--opacity', String(opacity)],
    ['--colormap', colormap],
    ['--save', 'overlay,npy'],
    ['--out', 'maps'],
  ];
  const typed = flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, quoted(value)]));
  return [
    `gradcampp ${caption ? 'caption' : 'explain'}`,
    quoted(picture.startsWith('-') ? `./${picture}` : picture),
    ...typed,
  ].join(' ');
}

/** A word as a shell takes it; single quotes keep all but themselves. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
