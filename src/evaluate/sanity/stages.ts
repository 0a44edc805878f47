import { GradcamppError } from '../../errors.js';
import { best } from '../../targets/common/probabilities.js';
import { controlMap, withNewControl } from '../control.js';
import type { CommonSettings, Job, MeasuredPicture, Measurement } from '../measurement.js';
import type { OnStep } from '../../explain/progress.js';
import { isOfPicture } from '../report/report-files.js';
import type { Failure } from '../report/report.js';
import type { PreparedImage, Subject, ExplanationMap } from '../subject.js';
import { type Similarity, similarity } from './similarity.js';

export interface SanitySettings extends CommonSettings {
  /** Stages of each kind; fewer where the network has fewer weighted operators. */
  readonly stages: number;
}

/** Pictures that go through the randomised networks together, so that each network is opened once for all. */
export interface SanityJob extends Job {
  readonly images: readonly string[];
}

export interface SanityRecord {
  readonly image: string;
  readonly class: number;
  readonly leastLikely: number;
  /** One a variant: the map of the top class against that of the least likely class. */
  readonly sensitivity: readonly Similarity[];
  /** One a stage, in it one a variant: the map of the network against that of the randomised one, same class. */
  readonly stages: readonly (readonly Similarity[])[];
}

export interface SanityChunk {
  readonly records: readonly SanityRecord[];
  readonly failures: readonly Failure[];
}

export interface Stage {
  /** Weights randomised from the scores down to this operator, or of this operator alone. */
  readonly kind: 'cascading' | 'independent';
  /** The operator. */
  readonly operator: string;
  /** How many of the weighted operators are randomised, of all: 0 … 1. */
  readonly depth: number;
  /** Indexes into the subject's weight groups. */
  readonly groups: readonly number[];
}

/** Stages evenly spaced over the weighted operators, the topmost and (cascading) the whole network included. */
export function stagesOf(groups: readonly string[], count: number): Stage[] {
  const n = groups.length;
  const steps = Math.min(count, n);
  const places = Array.from({ length: steps }, (_, s) =>
    steps === 1 ? n - 1 : Math.round((s * (n - 1)) / (steps - 1)),
  );
  const all = (['cascading', 'independent'] as const).map((kind) =>
    places.map((place) => ({
      kind,
      operator: groups[place],
      depth: (place + 1) / n,
      groups: kind === 'cascading' ? Array.from({ length: place + 1 }, (_, i) => i) : [place],
    })),
  );
  return all.flat();
}

/**
 * Model randomisation and class sensitivity (Adebayo et al., arXiv 1810.03292) of some pictures. Each picture is
 * decoded once; each randomised network is opened once, runs all pictures, and is closed before the next.
 */
export async function measureSanity(
  subject: Subject,
  job: SanityJob,
  settings: SanitySettings,
  onStep?: OnStep,
): Promise<Measurement<SanityChunk>> {
  const { randomization } = subject;
  if (!randomization)
    throw new GradcamppError('UNSUPPORTED_MODEL', 'This network has no weights that could be randomised.');
  const { variants, seed } = settings;
  const stages = stagesOf(randomization.groups, settings.stages);
  let finished = 0;
  const steps = job.images.length * (1 + stages.length); // a picture in a network is one
  const within: OnStep = (done, total) => onStep?.(finished + (total > 0 ? done / total : 0), steps);
  const step = () => onStep?.(++finished, steps);
  const failures: Failure[] = [];
  const measured: {
    readonly prepared: PreparedImage;
    readonly maps: readonly ExplanationMap[];
    readonly record: SanityRecord & { stages: Similarity[][] };
  }[] = [];
  for (const image of job.images) {
    try {
      const prepared = await subject.prepare(image);
      const probabilities = await subject.predict(prepared.tensor, 1);
      const classes = [
        ...best(probabilities, 1),
        ...best(
          probabilities.map((value) => -value),
          1,
        ),
      ];
      const { maps } = await subject.explain(prepared, variants, classes, within);
      const unrelated = controlMap(subject, prepared, seed, 'least likely');
      const sensitivity = maps.map(([top, least], v) =>
        similarity(top, variants[v].method === 'random' ? unrelated : least, subject.size),
      );
      const [index, leastLikely] = classes;
      measured.push({
        prepared,
        maps: maps.map(([top]) => top),
        record: { image, class: index, leastLikely, sensitivity, stages: [] },
      });
    } catch (error) {
      if (!isOfPicture(error)) throw error;
      failures.push({ image, error: error.message });
    }
    step();
  }
  for (const [s, stage] of stages.entries()) {
    const randomized = await randomization.open(stage.groups, seed);
    const own = withNewControl(variants, seed, `stage ${s}`);
    try {
      for (const { prepared, maps, record } of measured) {
        const explained = await randomized.explain(prepared, own, [record.class], within);
        record.stages.push(explained.maps.map(([map], v) => similarity(maps[v], map, subject.size)));
        step();
      }
    } finally {
      await randomized.close();
    }
  }
  const pictures: MeasuredPicture[] = measured.map(({ prepared, maps }) => ({ view: prepared.view, maps }));
  return { record: { records: measured.map(({ record }) => record), failures }, pictures };
}
