import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { folderWriter } from '../../batch/results/write-file.js';
import type { OptimizerState } from '../optimizers/optimizer.js';
import type { Trainer } from '../trainer.js';

/** Where a training is: at the beginning of a step. */
export interface Place {
  readonly epoch: number;
  /** Steps of the epoch that are done. */
  readonly step: number;
  /** Sums over these, by what they are. */
  readonly sums: Readonly<Record<string, number>>;
  /** What was logged of the epochs before. */
  readonly log: readonly EpochLine[];
}

/** A line of log.jsonl. */
export interface EpochLine {
  readonly arm: string;
  readonly seed: number;
  /** From 1. */
  readonly epoch: number;
  /**
   * Means over the steps: the loss, its terms, and the share of training pictures whose class is not the best one; where pictures
   * have several classes, the share of all labels that the sign of the score has wrong.
   */
  readonly loss: number;
  readonly trainError: number;
  readonly terms: Readonly<Record<string, number>>;
  /** The metric on the validation pictures, error or mAP; absent where there are none. */
  readonly validation?: number;
}

interface Stored extends Place {
  /** Which run it belongs to. */
  readonly run: string;
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly state: ReadonlyMap<string, Float32Array>;
  readonly optimizer: OptimizerState;
}

/** What else is needed to go on. */
interface Learner {
  readonly trainer: Trainer;
  readonly optimizer: { state(): OptimizerState; restore(state: OptimizerState): void };
}

/** The last moment that a training can go on from, in a file that is whole whenever the process ends. */
export class Checkpoint {
  readonly #folder: string;
  readonly #name: string;
  readonly #run: string;

  /** @param run tells this run from others: one that differs is not gone on with */
  constructor(folder: string, name: string, run: string) {
    this.#folder = folder;
    this.#name = name;
    this.#run = run;
  }

  async save({ trainer, optimizer }: Learner, place: Place): Promise<void> {
    const { weights, state } = trainer;
    const stored: Stored = { run: this.#run, ...place, weights, state, optimizer: optimizer.state() };
    await folderWriter(this.#folder, this.#name.replaceAll('/', '-'))(this.#name, [serialize(stored)]);
  }

  /** Puts weights, running statistics and optimizer as they were. @returns where; undefined where there is none */
  async restore({ trainer, optimizer }: Learner): Promise<Place | undefined> {
    const bytes = await readFile(join(this.#folder, this.#name)).catch(() => undefined);
    if (!bytes) return undefined;
    const stored = deserialize(bytes) as Stored;
    if (stored.run !== this.#run) return undefined;
    for (const [name, data] of stored.weights) trainer.weights.get(name)?.set(data);
    for (const [name, data] of stored.state) trainer.state.get(name)?.set(data);
    optimizer.restore(stored.optimizer);
    const { epoch, step, sums, log } = stored;
    return { epoch, step, sums, log };
  }
}
