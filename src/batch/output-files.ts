import { GradcamppError } from '../errors.js';
import { release } from '../memory.js';
import type { Explanation, TargetExplanation } from '../explain/explanation.js';
import { encodeImage, pictureEndings, type PictureFormat } from '../image/encode.js';
import { npyParts } from '../image/npy.js';
import { drawBox, drawCutout, drawHeat, drawMap, drawOverlay } from '../image/overlay.js';
import type { AnyPixels } from '../image/pixels.js';
import { cropToInput, type Preprocessing } from '../image/preprocess.js';
import { toPicture } from '../image/regions.js';
import type { OutputSettings, SaveKind } from './output-options.js';

/** One explained target of one picture, and how it is to be drawn. */
export interface Drawing {
  readonly explanation: Explanation;
  readonly target: TargetExplanation;
  readonly settings: OutputSettings;
  readonly preprocessing: Preprocessing | undefined;
}

/** A file's bytes, in parts that follow each other. */
export type Parts = readonly Uint8Array[];

/** What is written of an explanation: a picture, in the format that is asked for or else this one, or numbers. */
type Kind =
  | {
      readonly ending: string;
      readonly format: PictureFormat;
      readonly draw: (drawing: Drawing) => AnyPixels;
    }
  | { readonly ending: string; readonly numbers: (drawing: Drawing) => Floats };

const kinds: Readonly<Record<SaveKind, Kind>> = {
  overlay: { ending: '.overlay', format: 'jpeg', draw: overlay },
  map: { ending: '.map', format: 'png', draw: ({ target }) => drawMap(target.map) },
  npy: { ending: '.npy', numbers: ({ target }) => target.map },
  raw: { ending: '.raw.npy', numbers: rawOf },
  cutout: { ending: '.cutout', format: 'png', draw: cutout },
};

/** What a kind's file names end with. */
export function endingOf(kind: SaveKind, settings: OutputSettings): string {
  const own = kinds[kind];
  return 'draw' in own ? own.ending + pictureEndings[settings.format ?? own.format] : own.ending;
}

/** The content of one file; numbers are those of the explanation, not copied. */
export async function encodeOutput(kind: SaveKind, drawing: Drawing): Promise<Parts> {
  const own = kinds[kind];
  if ('numbers' in own) {
    const { data, dims } = own.numbers(drawing);
    return npyParts({ type: 'float32', data, dims });
  }
  const { format = own.format, quality } = drawing.settings;
  const drawn = own.draw(drawing);
  const file = await encodeImage(drawn, { format, quality, lossless: own.format === 'png' });
  release([drawn.data]);
  return [file];
}

/** Tensors have no picture: their overlay is the colours alone. What was detected has its box. */
function overlay(drawing: Drawing) {
  const { explanation, target, settings } = drawing;
  const { colormap, opacity } = settings;
  const shown = shownPicture(drawing);
  const geometry = shown && shown === explanation.picture ? explanation.geometry : undefined;
  const drawn = shown
    ? drawOverlay(shown, target.map, { colormap, opacity, geometry })
    : drawHeat(target.map, colormap);
  const { box } = target.target;
  const whole = { x: 0, y: 0, width: drawn.width, height: drawn.height };
  return box ? drawBox(drawn, toPicture(box, target.map.dims, geometry ?? whole)) : drawn;
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
function rawOf({ target }: Drawing): Floats {
  return target.raw ?? target.attribution ?? target.map;
}

interface Floats {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}
