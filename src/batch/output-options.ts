import { invalid, oneOf } from '../check.js';
import { clipFormats } from '../clip/writers/index.js';
import { colormaps } from '../image/colormap.js';
import { defaultQuality, pictureFormats } from '../image/encode.js';
import { choice, count, number, option, type OptionsOf, type SettingsOf, yesOrNo } from '../options.js';

/** What can be written of one explanation. */
export const saveKinds = ['overlay', 'map', 'npy', 'raw', 'cutout', 'sheet'] as const;
export type SaveKind = (typeof saveKinds)[number];

/** What a run writes of each explanation, and how it is drawn. */
export const outputOptions = {
  /** Default ['overlay']; [] writes no files but `results.jsonl`. */
  save: option(saveOf, {
    default: ['overlay'],
    flag: '--save <kinds>',
    many: true,
    help: `what to write: ${saveKinds.join(', ')} (a clip’s frames side by side)`,
  }),
  /** Of overlays, maps and cutouts. Default: JPEG for overlays, which are photographs; PNG for the others, which loses nothing. */
  format: choice(pictureFormats, {
    flag: '--format <format>',
    help: `of the pictures: ${pictureFormats.join(', ')}`,
    otherwise: 'jpeg for overlays, png for maps and cutouts',
  }),
  /** Of the overlays of clips: mp4 and webm by ffmpeg, with the sound; webp and gif without. Default: mp4, or webp where there is no ffmpeg. */
  video: choice(clipFormats, {
    flag: '--video <format>',
    help: `of the overlays of clips: ${clipFormats.join(', ')}`,
    otherwise: 'mp4, or webp where there is no ffmpeg',
  }),
  /** Of a video that is explained as several clips: their maps as one `.npy` [T, H, W] over its frames. Default false. */
  timeline: yesOrNo({
    default: false,
    flag: '--timeline',
    help: 'the maps of a video’s clips as one .npy over all its frames',
  }),
  /** Of JPEG and WebP, 1…100. WebP maps and cutouts are lossless. */
  quality: count({
    from: 1,
    to: 100,
    default: defaultQuality,
    flag: '--quality <n>',
    help: 'of JPEG and WebP, 1 to 100',
  }),
  /** Default turbo. */
  colormap: choice(colormaps, {
    default: 'turbo',
    flag: '--colormap <name>',
    help: `colours of the map: ${colormaps.join(', ')}`,
  }),
  /** 0: the picture alone … 1: the colours alone. Default 0.5. */
  opacity: number({
    from: 0,
    to: 1,
    default: 0.5,
    flag: '--opacity <number>',
    help: 'of the colours, 0 to 1',
  }),
  /** Overlays and cutouts show the picture as it is, or what the network saw of it. */
  picture: choice(['original', 'input'], {
    default: 'original',
    flag: '--picture <which>',
    help: 'draw over the original or the network’s input',
  }),
};
export type OutputOptions = OptionsOf<typeof outputOptions>;
export type OutputSettings = SettingsOf<typeof outputOptions>;

/** Each kind once, in one order. */
function saveOf(value: unknown, name: string): readonly SaveKind[] {
  if (!Array.isArray(value)) throw invalid(name, `a list of ${saveKinds.join(', ')}`, value);
  const wanted = value.map((kind) => oneOf(name, kind, saveKinds));
  return saveKinds.filter((kind) => wanted.includes(kind));
}
