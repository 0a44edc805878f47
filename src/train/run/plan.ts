import type { Preprocessing } from '../../image/preprocess.js';
import type { SettingsOf } from '../../options.js';
import type { LessonFiles } from './lessons.js';
import type { Terms, trainOptions } from './train-options.js';
import type { TrunkFiles } from './trunk-files.js';

export type TrainSettings = SettingsOf<typeof trainOptions>;

/** What all students of a run share; it travels to the processes that train. */
export interface RunPlan {
  readonly settings: TrainSettings;
  readonly learningRate: number;
  /** How much each class counts in the loss of the labels; undefined: all the same. */
  readonly classWeights: readonly number[] | undefined;
  readonly preprocessing: Preprocessing;
  readonly classes: readonly string[];
  /** The output folder. */
  readonly folder: string;
  readonly cache: string;
  /** Milliseconds between checkpoints within an epoch. When they are written changes nothing in what is computed. */
  readonly checkpointEvery: number;
  /** Tells this run from others. */
  readonly run: string;
  /** Of views and of the validation split: the same for all students. */
  readonly seed: number;
  /** Whether a picture may have several classes, or none. */
  readonly isMultiLabel: boolean;
  /** Files of decoded pictures in the cache, and the classes of each. */
  readonly pictures: string;
  readonly labels: readonly (readonly number[])[];
  readonly train: readonly number[];
  readonly validation: readonly number[];
  readonly test: { readonly pictures: string; readonly labels: readonly (readonly number[])[] } | undefined;
  /** The file of the pictures' masks in the cache. */
  readonly masks: string | undefined;
  readonly lessons: LessonFiles | undefined;
  /** What is kept of the part of the student that is not trained. */
  readonly trunk: TrunkFiles | undefined;
}

/** One student. */
export interface Job {
  readonly arm: string;
  readonly seed: number;
  readonly terms: Terms;
  /** Where its files go, in the output folder: as labels-alone/seed-1. */
  readonly folder: string;
}
