import { outputOptions } from '../batch/output-options.js';
import { outOption, reuseOptions } from '../batch/run-options.js';
import { invalid, oneOf } from '../check.js';
import { option, type OptionsOf, type SettingsOf } from '../options.js';

/** Where results of captions go, and what becomes of those that are there. */
export const captionRunOptions = { ...outOption('gradcampp-captions'), ...reuseOptions };

/** What can be written of one caption. */
export const captionSaves = ['overlay', 'strip', 'npy', 'attention'] as const;
export type CaptionSave = (typeof captionSaves)[number];

const { format, quality, colormap, opacity, picture } = outputOptions;

/** What a run writes of each caption, and how it is drawn. */
export const captionOutputOptions = {
  /** Default: all. `attention` only of decoders that have it. */
  save: option(saveOf, {
    default: captionSaves,
    flag: '--save <kinds>',
    many: true,
    help: `what to write: ${captionSaves.join(', ')}`,
  }),
  format,
  quality,
  colormap,
  opacity,
  picture,
};
export type CaptionOutputOptions = OptionsOf<typeof captionOutputOptions>;
export type CaptionOutputSettings = SettingsOf<typeof captionOutputOptions>;

function saveOf(value: unknown, name: string): readonly CaptionSave[] {
  if (!Array.isArray(value)) throw invalid(name, `a list of ${captionSaves.join(', ')}`, value);
  const wanted = value.map((kind) => oneOf(name, kind, captionSaves));
  return captionSaves.filter((kind) => wanted.includes(kind));
}
