import { invalid, numberIn, oneOf, onlyKeys } from '../check.js';
import { GradcamppError } from '../errors.js';
import { release } from '../memory.js';
import type { Explanation, TargetExplanation } from '../explain/explanation.js';
import { type Colormap, colormaps } from '../image/colormap.js';
import { encodePng } from '../image/encode.js';
import { npyParts } from '../image/npy.js';
import { drawCutout, drawHeat, drawMap, drawOverlay } from '../image/overlay.js';
import type { AnyPixels } from '../image/pixels.js';
import { cropToInput, type Preprocessing } from '../image/preprocess.js';

/** What can be written of one explanation. */
export const saveKinds = ['overlay', 'map', 'npy', 'raw', 'cutout'] as const;
export type SaveKind = (typeof saveKinds)[number];

export const pictureChoices = ['original', 'input'] as const;

export interface OutputOptions {
  /** Default ['overlay']; [] writes no files but `results.jsonl`. */
  readonly save?: readonly SaveKind[];
  /** Default turbo. */
  readonly colormap?: Colormap;
  /** 0…1, default 0.5. */
  readonly opacity?: number;
  /** Overlays and cutouts show the picture as it is (default), or what the network saw of it. */
  readonly picture?: (typeof pictureChoices)[number];
}
export type OutputSettings = Required<OutputOptions>;

export const outputKeys = ['save', 'colormap', 'opacity', 'picture'] as const;

export function outputSettingsOf(options: OutputOptions): OutputSettings {
  onlyKeys('the outputs', options, outputKeys);
  const save = options.save ?? ['overlay'];
  if (!Array.isArray(save)) throw invalid('save', `a list of ${saveKinds.join(', ')}`, save);
  return {
    save: saveKinds.filter((kind) => save.map((item) => oneOf('save', item, saveKinds)).includes(kind)),
    colormap: oneOf('colormap', options.colormap ?? 'turbo', colormaps),
    opacity: numberIn('opacity', options.opacity ?? 0.5, 0, 1),
    picture: oneOf('picture', options.picture ?? 'original', pictureChoices),
  };
}

/** One explained target of one picture, and how it is to be drawn. */
export interface Drawing {
  readonly explanation: Explanation;
  readonly target: TargetExplanation;
  readonly settings: OutputSettings;
  readonly preprocessing: Preprocessing | undefined;
}

/** A file's bytes, in parts that follow each other. */
export type Parts = readonly Uint8Array[];

/** File name ending and content of every kind. */
const kinds: Readonly<Record<SaveKind, readonly [ending: string, encode: (drawing: Drawing) => Parts]>> = {
  overlay: ['.overlay.png', (drawing) => pngOf(overlay(drawing))],
  map: ['.map.png', ({ target }) => pngOf(drawMap(target.map))],
  npy: ['.npy', ({ target }) => npyParts(floats(target.map))],
  raw: ['.raw.npy', (drawing) => npyParts(floats(rawOf(drawing)))],
  cutout: ['.cutout.png', (drawing) => pngOf(cutout(drawing))],
};

function pngOf(drawn: AnyPixels): Parts {
  const file = encodePng(drawn);
  release([drawn.data]);
  return [file];
}

export function endingOf(kind: SaveKind): string {
  return kinds[kind][0];
}

/** The content of one file; numbers are those of the explanation, not copied. */
export function encodeOutput(kind: SaveKind, drawing: Drawing): Parts {
  return kinds[kind][1](drawing);
}

/** Tensors have no picture: their overlay is the colours alone. */
function overlay(drawing: Drawing) {
  const { explanation, target, settings } = drawing;
  const { colormap, opacity } = settings;
  const shown = shownPicture(drawing);
  if (!shown) return drawHeat(target.map, colormap);
  const geometry = shown === explanation.picture ? explanation.geometry : undefined;
  return drawOverlay(shown, target.map, { colormap, opacity, geometry });
}

function cutout(drawing: Drawing) {
  const { explanation, target } = drawing;
  const shown = shownPicture(drawing);
  if (shown)
    return drawCutout(shown, target.map, shown === explanation.picture ? explanation.geometry : undefined);
  throw new GradcamppError(
    'INVALID_IMAGE',
    `${explanation.image.path ? `"${explanation.image.path}"` : 'The tensor'} holds no picture that a cutout could show; save overlay, map, npy or raw of tensors.`,
  );
}

function shownPicture({ explanation, settings, preprocessing }: Drawing) {
  const { picture } = explanation;
  return picture && preprocessing && settings.picture === 'input'
    ? cropToInput(picture, preprocessing)
    : picture;
}

/** Guided backpropagation has no layer: its signed attribution is what was there before normalisation. */
function rawOf({ target }: Drawing) {
  return target.raw ?? target.attribution ?? target.map;
}

function floats({ data, dims }: { data: Float32Array; dims: readonly number[] }) {
  return { type: 'float32' as const, data, dims };
}
