import type { OnStep } from '../explain/progress.js';
import type { Pixels } from '../image/pixels.js';
import type { ShownPicture } from './report/report.js';
import type { ExplanationMap, Subject, Variant } from './subject.js';

/** What every evaluation is asked of: a picture or a set of them, by a name that is unique in the run. */
export interface Job {
  readonly image: string;
}

/** What measuring one job gives: the numbers, and what a report may show of it. */
export interface Measurement<R> {
  readonly record: R;
  readonly pictures: readonly MeasuredPicture[];
}

/** A picture as the network saw it, and one map a variant. */
export interface MeasuredPicture {
  readonly view: () => Pixels;
  readonly maps: readonly ExplanationMap[];
}

/** What all settings have. */
export interface CommonSettings {
  readonly variants: readonly Variant[];
  readonly seed: number;
}

/** Measures one job; its answer depends on the job, the settings and the subject alone, never on other jobs. */
export type Measure<J extends Job, S extends CommonSettings, R> = (
  subject: Subject,
  job: J,
  settings: S,
  onStep?: OnStep,
) => Promise<Measurement<R>>;

/** A measure by the name that workers find it by. */
export interface Task<J extends Job, S extends CommonSettings, R> {
  readonly name: string;
  readonly measure: Measure<J, S, R>;
}

/** One job's numbers, and its pictures as a report keeps them; plain data that can be sent and stored. */
export interface Measured<R> {
  readonly record: R;
  readonly shown: readonly ShownPicture[];
}
