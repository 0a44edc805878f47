import { best } from '../../targets/common/probabilities.js';
import type { CommonSettings, Job, Measurement } from '../measurement.js';
import { random } from '../../random-stream.js';
import type { Subject } from '../subject.js';

export interface GridSettings extends CommonSettings {
  /** Cells along each edge. */
  readonly size: number;
  /** How many grids are drawn. */
  readonly grids: number;
  /** Only pictures whose top class has at least this probability take part. */
  readonly minProbability: number;
}

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

/** The top class of one picture, for drawing grids. */
export async function measureCandidate(
  subject: Subject,
  { image }: Job,
): Promise<Measurement<GridCandidate>> {
  const { tensor } = await subject.prepare(image);
  const probabilities = await subject.predict(tensor, 1);
  const [top] = best(probabilities, 1);
  return { record: { image, class: top, probability: probabilities[top] }, pictures: [] };
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
