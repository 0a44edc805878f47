import type { Pixels } from '../../image/pixels.js';
import type { Box } from '../annotations/region.js';
import { offsetOf, type PictureLayout, stepOf } from '../masking.js';
import type { Measurement } from '../measurement.js';
import type { OnStep } from '../../explain/progress.js';
import { resizeArea } from '../resize-area.js';
import type { PreparedImage, Subject } from '../subject.js';
import { gridCells, gridScore } from './grid-cells.js';
import type { GridJob, GridSettings } from './draw-grids.js';

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

/**
 * One grid: every picture shrunk into its cell by averaging areas (in preprocessed values, which is the same as in
 * pixels), all classes explained from one forward pass. Böhle et al. enlarge the input instead; here it keeps the
 * network's size, because most exported networks have a fixed one.
 */
export async function measureGrid(
  subject: Subject,
  job: GridJob,
  settings: GridSettings,
  onStep?: OnStep,
): Promise<Measurement<GridRecord>> {
  const [height, width] = subject.size.slice(-2);
  const cells = gridCells(settings.size, width, height);
  const parts: PreparedImage[] = [];
  for (const cell of job.cells) parts.push(await subject.prepare(cell.image));
  const tensor = new Float32Array(parts[0].tensor.length);
  parts.forEach((part, i) => placeTensor(part.tensor, tensor, subject.layout, width, height, cells[i]));

  const prepared = { ...parts[0], image: job.image, tensor };
  const targets = job.cells.map((cell) => cell.class);
  const explained = await subject.explain(prepared, settings.variants, targets, onStep);
  const view = (): Pixels => gridView(parts, cells, width, height);
  return {
    record: {
      image: job.image,
      cells: job.cells.map((cell, i) => ({
        ...cell,
        probability: explained.targets[i].confidence,
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
  layout: PictureLayout,
  width: number,
  height: number,
  cell: Box,
): void {
  for (let c = 0; c < layout.channels; c++)
    placePlane(from, to, offsetOf(layout, 0, c), stepOf(layout), width, height, cell);
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
