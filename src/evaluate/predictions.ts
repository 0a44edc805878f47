import type { OnStep } from '../explain/progress.js';
import type { PictureLayout } from './masking.js';
import type { ExplainedTarget } from './subject.js';

/** Writes a picture, as the network gets it, to `out`. */
export type Fill = (out: Float32Array) => void;

/**
 * Confidences of one target on pictures that are asked for, `batch` of them in a forward pass. Only pictures made from
 * one picture ever share a pass, so no number depends on which other pictures are evaluated or in which order.
 */
export class Predictions {
  readonly #target: Pick<ExplainedTarget, 'confidenceIn'>;
  readonly #tensors: Float32Array;
  readonly #batch: number;
  readonly #onStep: OnStep | undefined;
  readonly #waiting: { fill: Fill; resolve: (value: number) => void; reject: (error: unknown) => void }[] =
    [];
  #isRunning = false;
  #asked = 0;
  #done = 0;

  constructor(
    { channels, positions }: PictureLayout,
    target: Pick<ExplainedTarget, 'confidenceIn'>,
    batch: number,
    onStep?: OnStep,
  ) {
    this.#target = target;
    this.#batch = batch;
    this.#onStep = onStep;
    this.#tensors = new Float32Array(batch * channels * positions);
  }

  /** The confidence on what `fill` writes. All that is asked at once goes through the network together. */
  ask(fill: Fill): Promise<number> {
    this.#asked++;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ fill, resolve, reject });
      if (this.#isRunning) return;
      this.#isRunning = true;
      queueMicrotask(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    const length = this.#tensors.length / this.#batch;
    while (this.#waiting.length > 0) {
      const asked = this.#waiting.splice(0, this.#batch);
      try {
        asked.forEach(({ fill }, i) => fill(this.#tensors.subarray(i * length, (i + 1) * length)));
        const tensors = this.#tensors.subarray(0, asked.length * length);
        const confidences = await this.#target.confidenceIn(tensors, asked.length);
        asked.forEach(({ resolve }, i) => resolve(confidences[i]));
      } catch (error) {
        for (const { reject } of [...asked, ...this.#waiting.splice(0)]) reject(error);
      }
      this.#done += asked.length;
      this.#onStep?.(this.#done, this.#asked);
    }
    this.#isRunning = false;
  }
}
