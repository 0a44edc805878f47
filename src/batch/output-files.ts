import { GradcamppError } from '../errors.js';
import { release } from '../memory.js';
import type { Explanation, TargetExplanation } from '../explain/explanation.js';
import { contactSheet } from '../clip/sheet.js';
import { clipWriter } from '../clip/writers/index.js';
import type { ClipWriter, Timing } from '../clip/writers/writer.js';
import { sizeOf } from '../tensor.js';
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
  /** Writes the overlay, where it is one of a clip. */
  readonly writer?: ClipWriter;
}

/** A file's bytes, in parts that follow each other. */
export type Parts = readonly Uint8Array[];

/** What is written of an explanation: a picture, in the format that is asked for or else this one, or numbers. */
type Kind =
  | {
      readonly ending: string;
      readonly format: PictureFormat;
      readonly draw: (drawing: Drawing) => AnyPixels;
      /** Whether it shows the picture, and not the map alone. */
      readonly isOverPicture: boolean;
    }
  | { readonly ending: string; readonly numbers: (drawing: Drawing) => Floats };

const kinds: Readonly<Record<SaveKind, Kind>> = {
  overlay: { ending: '.overlay', format: 'jpeg', draw: overlay, isOverPicture: true },
  map: { ending: '.map', format: 'png', draw: ({ target }) => drawMap(target.map), isOverPicture: false },
  npy: { ending: '.npy', numbers: ({ target }) => target.map },
  raw: { ending: '.raw.npy', numbers: rawOf },
  cutout: { ending: '.cutout', format: 'png', draw: cutout, isOverPicture: true },
  sheet: { ending: '.sheet', format: 'png', draw: overlay, isOverPicture: true },
};

/**
 * What a kind's file names end with.
 *
 * @param writer of a clip's overlay
 */
export function endingOf(kind: SaveKind, settings: OutputSettings, writer?: ClipWriter): string {
  const own = kinds[kind];
  if (writer && kind === 'overlay') return own.ending + writer.ending;
  return 'draw' in own ? own.ending + pictureEndings[settings.format ?? own.format] : own.ending;
}

/** Whether a kind's file shows the picture: frames that nobody shows are not kept. */
export function showsPicture(kind: SaveKind): boolean {
  const own = kinds[kind];
  return 'draw' in own && own.isOverPicture;
}

/** The content of one file; numbers are those of the explanation, not copied. */
export async function encodeOutput(kind: SaveKind, drawing: Drawing): Promise<Parts> {
  const own = kinds[kind];
  if ('numbers' in own) {
    const { data, dims } = own.numbers(drawing);
    return npyParts({ type: 'float32', data, dims });
  }
  const { format = own.format, quality } = drawing.settings;
  const { writer } = drawing;
  const frames = framesOf(drawing);
  if (frames && writer && kind === 'overlay')
    return [await writer.write(frames.map(overlay), timingOf(drawing.explanation, frames.length))];
  const drawn = frames ? contactSheet(frames.map(own.draw)) : own.draw(drawing);
  const file = await encodeImage(drawn, { format, quality, lossless: own.format === 'png' });
  release([drawn.data]);
  return [file];
}

/** Who writes the overlay of a clip, which moves; undefined for pictures. All else that is drawn of clips is their frames side by side. */
export async function writerFor(
  { map }: TargetExplanation,
  { video, save }: OutputSettings,
): Promise<ClipWriter | undefined> {
  return map.dims.length === 3 && save.includes('overlay') ? clipWriter(video) : undefined;
}

/** Every frame of a clip as a picture of its own; undefined for pictures. What only fills the input is left out. */
function framesOf(drawing: Drawing): Drawing[] | undefined {
  const { explanation, target } = drawing;
  const { map } = target;
  if (map.dims.length !== 3) return undefined;
  const [count, ...dims] = map.dims;
  const size = sizeOf(dims);
  return Array.from({ length: explanation.image.clip?.count ?? count }, (_, t) => ({
    ...drawing,
    explanation: { ...explanation, picture: explanation.frames?.[t] },
    target: { ...target, map: { ...map, dims, data: map.data.subarray(t * size, (t + 1) * size) } },
  }));
}

/** Frames a second where nothing tells them: slow enough to be seen. */
const assumedRate = 5;

/** As fast as the clip's own frames follow each other, with the sound of that part of the video. */
function timingOf({ image, sound: file }: Explanation, frames: number): Timing {
  const { rate: own, interval = 1, start = 0 } = image.clip ?? {};
  const rate = own === undefined ? assumedRate : own / interval;
  if (file === undefined || own === undefined) return { rate };
  return { rate, sound: { file, start: start / own, duration: frames / rate } };
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

/** The picture that is drawn over: the original, or what the network saw of it. */
export function shownPicture({
  explanation,
  settings,
  preprocessing,
}: {
  readonly explanation: Pick<Explanation, 'picture'>;
  readonly settings: Pick<OutputSettings, 'picture'>;
  readonly preprocessing: Preprocessing | undefined;
}) {
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
