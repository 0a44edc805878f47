import { crc32 } from 'node:zlib';
import { shownPicture } from '../batch/output-files.js';
import { shortest, shownRegion } from '../batch/results/result-line.js';
import type { ExplanationMap, TargetExplanation } from '../explain/explanation.js';
import { encodeImage, pictureEndings } from '../image/encode.js';
import { npyParts } from '../image/npy.js';
import { drawHeat, drawOverlay, type PictureMap } from '../image/overlay.js';
import type { Pixels, Rectangle } from '../image/pixels.js';
import type { Preprocessing } from '../image/preprocess.js';
import { shrink } from '../image/shrink.js';
import type { CaptionExplanation } from './caption-explanation.js';
import type { CaptionOutputSettings, CaptionSave } from './caption-run-options.js';

/** Files by what they are, relative to the output folder. */
type Files = Readonly<Partial<Record<CaptionSave, string>>>;

/** One line of `results.jsonl`: one picture's caption by one method, with every token. */
export interface CaptionLine {
  readonly index: number;
  readonly image: CaptionExplanation['image'];
  readonly caption: {
    readonly text: string;
    /** Whether it was given; else the network said it. */
    readonly isGiven: boolean;
    readonly logProbability: number;
    readonly map: MapFacts;
    readonly files: Files;
  };
  readonly tokens: readonly {
    readonly token: string;
    readonly id: number;
    readonly continues?: true;
    readonly logProbability: number;
    readonly map: MapFacts;
    readonly files: Files;
  }[];
  readonly layers: readonly string[];
  readonly method: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly backend?: string;
  /** Dims of every map, [H, W], and where it lies in the picture, in its pixels; absent for tensors. */
  readonly dims: readonly number[];
  readonly geometry?: Rectangle;
  /** Of all tokens: the strip, and the maps as numbers, [1 + tokens, H, W], the caption's first. */
  readonly files: Files;
}

interface MapFacts extends Pick<ExplanationMap, 'empty' | 'emptyBecause' | 'bounds'> {}

/** A file with its content. */
export interface CaptionFile {
  readonly name: string;
  readonly parts: readonly Uint8Array[];
}

export function entryOf({ name, parts }: CaptionFile): readonly [string, number, number] {
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  return [name, size, parts.reduce((checksum, part) => crc32(part, checksum), 0)];
}

/** Longest edge of overlays, and of the pictures of a strip. */
const [overlayEdge, stripEdge] = [1024, 160];

/** Between the pictures of a strip. */
const gap = 4;

/**
 * The line of a caption by its m-th method, and its files.
 *
 * @param stem what their names begin with
 */
export async function captionOutput(
  {
    index,
    explanation,
    m,
  }: { readonly index: number; readonly explanation: CaptionExplanation; readonly m: number },
  {
    stem,
    settings,
    preprocessing,
  }: {
    readonly stem: string;
    readonly settings: CaptionOutputSettings;
    readonly preprocessing: Preprocessing | undefined;
  },
): Promise<{ readonly line: CaptionLine; readonly files: readonly CaptionFile[] }> {
  const { image, geometry, tokens, caption } = explanation;
  const { save } = settings;
  const files: CaptionFile[] = [];
  const add = (name: string, parts: readonly Uint8Array[]) => {
    files.push({ name, parts });
    return name;
  };
  const canvas = canvasOf(explanation, settings, preprocessing);
  const ending = pictureEndings[settings.format ?? 'jpeg'];
  const drawn = async (map: PictureMap, name: string) => {
    const { format = 'jpeg', quality } = settings;
    return add(`${name}${ending}`, [await encodeImage(draw(canvas, map, settings), { format, quality })]);
  };
  const of = (methods: readonly TargetExplanation[]) => methods[m];
  const maps = [caption, ...tokens].map((own) => of(own.methods).map);
  const filesOf = async (map: PictureMap, name: string, attention?: PictureMap): Promise<Files> => ({
    ...(save.includes('overlay') ? { overlay: await drawn(map, `${stem}.${name}.overlay`) } : {}),
    ...(attention && m === 0 && save.includes('attention')
      ? { attention: await drawn(attention, `${stem}.${name}.attention`) }
      : {}),
  });
  const first = of(caption.methods);
  const line: CaptionLine = {
    index,
    image,
    caption: {
      text: caption.text,
      isGiven: caption.isGiven,
      logProbability: shortest(Math.fround(caption.logProbability)),
      map: factsOf(first.map),
      files: await filesOf(first.map, 'caption'),
    },
    tokens: [],
    layers: first.layers,
    method: first.method,
    settings: Object.keys(first.settings).length > 0 ? first.settings : undefined,
    backend: first.backend,
    dims: first.map.dims,
    geometry,
    files: {
      ...(save.includes('strip')
        ? { strip: add(`${stem}.strip.png`, [await stripOf(canvas, maps, settings)]) }
        : {}),
      ...(save.includes('npy') ? { npy: add(`${stem}.npy`, numbersOf(maps)) } : {}),
    },
  };
  const shown: CaptionLine['tokens'][number][] = [];
  for (const [t, { token, id, continues, logProbability, methods, attention }] of tokens.entries()) {
    const { map } = of(methods);
    shown.push({
      token,
      id,
      ...(continues ? { continues } : {}),
      logProbability: shortest(Math.fround(logProbability)),
      map: factsOf(map),
      files: await filesOf(map, String(t), attention),
    });
  }
  return { line: { ...line, tokens: shown }, files };
}

function factsOf({ empty, emptyBecause, bounds }: ExplanationMap): MapFacts {
  return { empty, emptyBecause, bounds: bounds.map(shownRegion) };
}

/** What maps are drawn over, small enough for a page; undefined for tensors, whose maps are drawn alone. */
interface Canvas {
  readonly picture: Pixels;
  readonly geometry: Rectangle | undefined;
}

function canvasOf(
  explanation: CaptionExplanation,
  settings: CaptionOutputSettings,
  preprocessing: Preprocessing | undefined,
): Canvas | undefined {
  const shown = shownPicture({ explanation, settings, preprocessing });
  if (!shown) return undefined;
  return shrunk(
    { picture: shown, geometry: shown === explanation.picture ? explanation.geometry : undefined },
    overlayEdge,
  );
}

function shrunk({ picture, geometry }: Canvas, edge: number): Canvas {
  const small = shrink(picture, edge);
  const scale = small.width / picture.width;
  if (scale === 1 || !geometry) return { picture: small, geometry };
  const down = small.height / picture.height;
  const { x, y, width, height } = geometry;
  return {
    picture: small,
    geometry: { x: x * scale, y: y * down, width: width * scale, height: height * down },
  };
}

function draw(
  canvas: Canvas | undefined,
  map: PictureMap,
  { colormap, opacity }: CaptionOutputSettings,
): Pixels {
  if (!canvas) return drawHeat(map, colormap);
  return drawOverlay(canvas.picture, map, { colormap, opacity, geometry: canvas.geometry });
}

/** The picture as it is, then a small overlay of the caption and of every token, in one row. */
async function stripOf(
  canvas: Canvas | undefined,
  maps: readonly PictureMap[],
  settings: CaptionOutputSettings,
): Promise<Buffer> {
  const small = canvas && shrunk(canvas, stripEdge);
  const cells = [...(small ? [small.picture] : []), ...maps.map((map) => draw(small, map, settings))];
  const [{ width, height }] = cells;
  const all = cells.length * (width + gap) - gap;
  const data = new Uint8Array(all * height * 3).fill(255);
  for (const [i, cell] of cells.entries())
    for (let y = 0; y < height; y++)
      data.set(cell.data.subarray(y * width * 3, (y + 1) * width * 3), (y * all + i * (width + gap)) * 3);
  return encodeImage({ data, width: all, height, channels: 3 }, { format: 'png' });
}

function numbersOf(maps: readonly PictureMap[]): Uint8Array[] {
  const [{ data: first, dims }] = maps;
  const data = new Float32Array(maps.length * first.length);
  for (const [i, map] of maps.entries()) data.set(map.data, i * first.length);
  return npyParts({ type: 'float32', data, dims: [maps.length, ...dims] });
}
