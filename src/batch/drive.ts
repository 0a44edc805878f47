import { type Concurrency, concurrently } from './ordered.js';
import { TaskError } from './workers/task-error.js';

/** Items that are worked on in groups: pictures in passes of several, evaluations one by one. */
export interface Work<Item, Result> extends Concurrency {
  readonly groups: Iterable<readonly Item[]> | AsyncIterable<readonly Item[]>;
  /** One result an item. */
  readonly run: (group: readonly Item[]) => Promise<readonly Result[]>;
  /** What stands for an item that failed; undefined: the error is not the item's own, and ends all. */
  readonly failed: (item: Item, error: unknown) => Result | undefined;
}

/** Does the work of a run and gives its results, in the order of the items or as they come. */
export async function* drive<Item, Result>(work: Work<Item, Result>): AsyncGenerator<Result> {
  for await (const results of concurrently(work.groups, (group) => runGroup(work, group), work))
    yield* results;
}

/** A group's results; where it ends its worker or takes too long, those of each item alone, to find the one to blame. */
async function runGroup<Item, Result>(
  work: Work<Item, Result>,
  group: readonly Item[],
): Promise<readonly Result[]> {
  try {
    return await work.run(group);
  } catch (error) {
    if (group.length > 1 && error instanceof TaskError && error.isRepeatable) return runAlone(work, group);
    const results = group.map((item) => work.failed(item, error));
    if (results.includes(undefined)) throw error;
    return results as Result[];
  }
}

async function runAlone<Item, Result>(work: Work<Item, Result>, group: readonly Item[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const item of group) results.push(...(await runGroup(work, [item])));
  return results;
}
