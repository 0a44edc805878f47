import type { Pixels } from '../../image/pixels.js';
import { controlMap, explainWithControl } from '../control.js';
import type { PictureLayout } from '../masking.js';
import type { CommonSettings, Job, Measurement } from '../measurement.js';
import { gridCells, gridScore, resizeArea } from '../metrics/grid.js';
import type { Box } from '../metrics/localization.js';
import { random } from '../../random-stream.js';
import type { PreparedImage, Subject } from '../subject.js';

export interface GridSettings extends CommonSettings {
  /** Cells along each edge. */
  readonly size: number;
  /** How many grids are drawn. */
  readonly grids: number;
  /** Only pictures whose top class has at least this probability take part. */
  readonly minProbability: number;
}

export const gridDefaults = {
  size: 2,
  grids: 100,
  minProbability: 0.5,
  seed: 1,
} as const satisfies Omit<GridSettings, 'variants'>;

/** The top class of a single-class picture. */
export interface GridCandidate {
  readonly image: string;
  readonly class: number;
  readonly probability: number;
}

/** One grid: its pictures, row by row, and the class that is explained for each. */
export interface GridJob extends Job {
  readonly cells: readonly { readonly image: string; readonly class: number }[];
}

export interface GridRecord {
  /** Name of the grid. */
  readonly image: string;
  readonly cells: readonly {
    readonly image: string;
    readonly class: number;
    /** Probability of the class on the whole grid. */
    readonly probability: number;
    /** One a variant. */
    readonly variants: readonly { readonly empty: boolean; readonly score: number }[];
  }[];
}

/** The top class of one picture, for drawing grids. */
export async function measureCandidate(
  subject: Subject,
  { image }: Job,
  _settings: CommonSettings,
): Promise<Measurement<GridCandidate>> {
  const { tensor } = await subject.prepare(image);
  const probabilities = await subject.predict(tensor, 1);
  const probability = probabilities.reduce((a, b) => Math.max(a, b), 0);
  return { record: { image, class: probabilities.indexOf(probability), probability }, pictures: [] };
}

/**
 * Draws grids of pictures with different top classes, a seeded function of the set of candidates. A picture takes
 * part again only after all others had their turn, as far as the classes allow. Fewer grids than asked for where
 * the candidates do not give one of different classes.
 */
export function drawGrids(
  candidates: readonly GridCandidate[],
  { size, grids, minProbability, seed }: GridSettings,
): GridJob[] {
  const eligible = candidates
    .filter((candidate) => candidate.probability >= minProbability)
    .sort((a, b) => (a.image < b.image ? -1 : 1));
  const cells = size * size;
  if (new Set(eligible.map((candidate) => candidate.class)).size < cells) return [];
  const stream = random(seed, 'grids');
  let waiting: GridCandidate[] = [];
  return Array.from({ length: grids }, (_, g) => {
    const drawn: GridCandidate[] = [];
    while (drawn.length < cells) {
      const at = waiting.findIndex((candidate) => drawn.every((other) => other.class !== candidate.class));
      if (at >= 0) drawn.push(...waiting.splice(at, 1));
      else waiting = [...waiting, ...stream.shuffle(eligible)];
    }
    return {
      image: `grid-${String(g + 1).padStart(4, '0')}`,
      cells: drawn.map((candidate) => ({ image: candidate.image, class: candidate.class })),
    };
  });
}

/**
 * One grid: every picture shrunk into its cell by averaging areas (in preprocessed values, which is the same as in
 * pixels), all classes explained from one forward pass. Böhle et al. enlarge the input instead; here it keeps the
 * network's size, because most exported networks have a fixed one.
 */
export async function measureGrid(
  subject: Subject,
  job: GridJob,
  settings: GridSettings,
): Promise<Measurement<GridRecord>> {
  const [height, width] = subject.size.slice(-2);
  const cells = gridCells(settings.size, width, height);
  const parts: PreparedImage[] = [];
  for (const cell of job.cells) parts.push(await subject.prepare(cell.image));
  const tensor = new Float32Array(parts[0].tensor.length);
  parts.forEach((part, i) => placeTensor(part.tensor, tensor, subject.layout, width, height, cells[i]));

  const prepared = { ...parts[0], image: job.image, tensor };
  const control = controlMap(subject, prepared, settings.seed);
  const targets = job.cells.map((cell) => cell.class);
  const explained = await explainWithControl(subject, prepared, settings.variants, control, targets);
  const view = (): Pixels => gridView(parts, cells, width, height);
  return {
    record: {
      image: job.image,
      cells: job.cells.map((cell, i) => ({
        ...cell,
        probability: explained.probabilities[cell.class],
        variants: explained.maps.map((maps) => ({
          empty: maps[i].empty,
          score: gridScore(maps[i].data, width, cells[i]),
        })),
      })),
    },
    pictures: job.cells.map((_, i) => ({ view, maps: explained.maps.map((maps) => maps[i]) })),
  };
}

function placeTensor(
  from: Float32Array,
  to: Float32Array,
  { channels, channelsLast }: PictureLayout,
  width: number,
  height: number,
  cell: Box,
): void {
  for (let c = 0; c < channels; c++) {
    const [start, step] = channelsLast ? [c, channels] : [c * width * height, 1];
    placePlane(from, to, start, step, width, height, cell);
  }
}

/** Shrinks one channel of a picture into a cell of another picture of the same size. */
function placePlane(
  from: Float32Array | Uint8Array,
  to: Float32Array | Uint8Array,
  start: number,
  step: number,
  width: number,
  height: number,
  { x0, y0, x1, y1 }: Box,
): void {
  const plane = Float32Array.from({ length: width * height }, (_, p) => from[start + p * step]);
  const small = resizeArea(plane, width, height, x1 - x0, y1 - y0);
  for (let y = y0, i = 0; y < y1; y++)
    for (let x = x0; x < x1; x++, i++) to[start + (y * width + x) * step] = small[i];
}

function gridView(
  parts: readonly PreparedImage[],
  cells: readonly Box[],
  width: number,
  height: number,
): Pixels {
  const data = new Uint8Array(width * height * 3);
  parts.forEach((part, i) => {
    const view = part.view().data;
    for (let c = 0; c < 3; c++) placePlane(view, data, c, 3, width, height, cells[i]);
  });
  return { data, width, height, channels: 3 };
}
