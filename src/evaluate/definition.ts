import type { LeftOut } from '../batch/inputs/left-out.js';
import type { OptionsOf, SettingsOf, Stage } from '../options.js';
import type { CommonSettings, Job, Measured, Task } from './measurement.js';
import type { MetricWords } from './metric.js';
import type { GalleryEntry } from './report/gallery.js';
import type { Failure, GalleryOrder, Report } from './report/report.js';
import type { Table } from './report/columns.js';
import type { Subject, Variant } from './subject.js';

/**
 * An evaluation: what it is called, what can be set, what is measured of each picture, and what is said of all.
 * `evaluations.ts` lists them; the command, its help, the workers, the API and `docs/evaluating.md` read that list.
 * The driver (`evaluate.ts`) calls the parts in the order in which they stand here.
 */
export interface Evaluation<O extends Stage, G extends Gathered, P extends Plan, R>
  extends Task<P['jobs'][number], P['settings'], R> {
  /** One sentence for `--help`. */
  readonly description: string;
  /** What it asks, for the table in `docs/evaluating.md`. */
  readonly asks: string;
  /** What it measures, for the same page. */
  readonly metrics: readonly DocumentedMetric[];
  /** Flags of an example, after `--model`. */
  readonly example: string;
  /** Its own, beside those of all evaluations. */
  readonly options: O;
  /** It compares networks: `model` may be a list. */
  readonly severalNetworks?: boolean;
  /** The ways to explain that its options name; default: those of `method`. */
  readonly variants?: (options: SettingsOf<O>) => readonly Variant[];
  /** Finds the pictures, or clips where the network takes those, and what is known of them, before a network is opened. */
  readonly gather: (options: SettingsOf<O>, takesClips: boolean) => Promise<G>;
  /** A measure that the plan needs, such as which pictures can take part. */
  readonly first?: Task<Job, CommonSettings, unknown>;
  /** What is measured of a network. */
  readonly plan: (given: Given<O, G>) => Promise<P> | P;
  /** Everything that is said about the records of all networks. The order of the records does not matter. */
  readonly summarize: (rounds: readonly Round<P, R>[]) => Omit<Report, 'provenance' | 'gallery'>;
  /** One row a picture, in the order of the records. */
  readonly table: (rounds: readonly Round<P, R>[]) => Table;
  /** The pictures that a report shows, and what they can be sorted by. */
  readonly gallery?: (round: Round<P, R>) => GalleryPart;
  /** Pictures that were measured; default: one a record. */
  readonly count?: (round: Round<P, R>) => number;
  /** Pictures that failed within a job of several. */
  readonly failures?: (record: R) => readonly Failure[];
}

/** A metric as the documentation describes it. */
export type DocumentedMetric = Pick<
  MetricWords,
  'name' | 'unit' | 'better' | 'definition' | 'byChance' | 'chanceIsBound'
>;

/** What `gather` finds. */
export interface Gathered {
  readonly images: readonly string[];
  /** Other files that the results depend on. */
  readonly files?: readonly string[];
  /** Pictures of formats that are not read. */
  readonly leftOut?: LeftOut;
}

/** What a plan is made from. */
export interface Given<O extends Stage, G extends Gathered> {
  readonly options: SettingsOf<O>;
  readonly gathered: G;
  readonly common: CommonSettings;
  readonly subject: Subject;
  /** Measures jobs of `first`; `unit` is what progress calls them. */
  readonly measureFirst: (
    jobs: readonly Job[],
    unit: string,
  ) => Promise<{ readonly records: readonly unknown[]; readonly failures: readonly Failure[] }>;
}

/** What is measured of one network. */
export interface Plan {
  readonly jobs: readonly Job[];
  readonly settings: CommonSettings;
  /** What progress calls the jobs; default "pictures". */
  readonly unit?: string;
  /** Pictures that a report may show of each job; default 1. */
  readonly picturesPerJob?: number;
  /** Pictures that failed before the plan was made. */
  readonly failures?: readonly Failure[];
  /** What is to be said of this run alone. */
  readonly remarks?: readonly string[];
}

/** What was measured of one network. */
export interface Round<P extends Plan, R> {
  /** The network's name among those of the run. */
  readonly network: string;
  readonly subject: Subject;
  readonly plan: P;
  /** In the order of the jobs, without those that failed. */
  readonly measured: readonly Measured<R>[];
  readonly records: readonly R[];
}

/** A gallery before the maps are put beside their scores. */
export interface GalleryPart {
  readonly entries: readonly GalleryEntry[];
  /** By what value of the entries pictures are sorted, for each variant. */
  readonly order: GalleryOrder;
  /** Pictures in the evaluation, shown or not. */
  readonly total: number;
}

/** Gives an evaluation its types. */
export function defineEvaluation<O extends Stage, G extends Gathered, P extends Plan, R>(
  evaluation: Evaluation<O, G, P, R>,
): Evaluation<O, G, P, R> {
  return evaluation;
}

export type AnyEvaluation = Evaluation<any, any, any, any>;
/** The options that an evaluation adds, as they are given. */
export type OwnOptions<E extends AnyEvaluation> = OptionsOf<E['options']>;
