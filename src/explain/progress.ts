/** Told how far something is that runs the network many times: steps done, of those known so far. */
export type OnStep = (done: number, total: number) => void;

/** Counts passes that were announced, and those that are done. */
export class Progress {
  #done = 0;
  #total = 0;
  readonly #onStep: OnStep | undefined;

  constructor(onStep?: OnStep) {
    this.#onStep = onStep;
  }

  expect(count: number): void {
    this.#total += count;
  }

  step(count: number): void {
    this.#done += count;
    this.#onStep?.(this.#done, this.#total);
  }
}

/** For a job of several parts, each of which counts its own steps: what to tell each of them. */
export function inParts(onStep: OnStep | undefined): () => OnStep {
  let [allDone, allTotal] = [0, 0];
  return () => {
    let [ownDone, ownTotal] = [0, 0];
    return (done, total) => {
      allDone += done - ownDone;
      allTotal += total - ownTotal;
      [ownDone, ownTotal] = [done, total];
      onStep?.(allDone, allTotal);
    };
  };
}
