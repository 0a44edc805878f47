/** What is done for pictures, in this order. Methods that run the network many times do some of it again and again. */
export const stages = ['decode', 'forward', 'backward', 'map', 'encode'] as const;
export type Stage = (typeof stages)[number];

/** When a stage began and ended, in milliseconds since 1970: the same in every thread and process. */
export interface StageTime {
  readonly stage: Stage;
  readonly start: number;
  end: number;
}

/** Is told which work is which stage. */
export interface Watch {
  during<T>(stage: Stage, work: () => T | Promise<T>): Promise<T>;
}

/** Where nobody asks. */
export const unwatched: Watch = { during: async (_, work) => work() };

/** Times of a video of any length take no more memory than this many. */
const mostTimes = 1000;

/** The one clock: when each stage of some pictures began and ended. Stages that follow themselves are one. */
export class StageWatch implements Watch {
  readonly times: StageTime[] = [];

  async during<T>(stage: Stage, work: () => T | Promise<T>): Promise<T> {
    const start = clock();
    try {
      return await work();
    } finally {
      this.#add({ stage, start, end: clock() });
    }
  }

  /** Milliseconds of each stage. */
  get sums(): Record<Stage, number> {
    const sums = { decode: 0, forward: 0, backward: 0, map: 0, encode: 0 };
    for (const { stage, start, end } of this.times) sums[stage] += end - start;
    return sums;
  }

  #add(time: StageTime): void {
    const last = this.times.at(-1);
    if (last?.stage === time.stage) last.end = Math.max(last.end, time.end);
    else if (this.times.length < mostTimes) this.times.push(time);
    else {
      const own = this.times.findLast(({ stage }) => stage === time.stage);
      if (own) own.end += time.end - time.start;
    }
  }
}

/** What is iterated over, where every step is work of a stage. */
export async function* eachDuring<T>(
  watch: Watch,
  stage: Stage,
  items: AsyncIterable<T>,
): AsyncGenerator<T, void> {
  const iterator = items[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await watch.during(stage, () => iterator.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** Milliseconds since 1970, in fractions. */
export function clock(): number {
  return performance.timeOrigin + performance.now();
}
