import { setTimeout as wait } from 'node:timers/promises';
import { assert, asyncProperty, integer } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concurrently } from '../../src/batch/ordered.js';

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of stream) all.push(item);
  return all;
}

/** Milliseconds that item i takes: later items overtake earlier ones. */
const delays = [12, 1, 7, 0, 5, 3, 9, 2];
const slowly = async (i: number) => {
  await wait(delays[i % delays.length]);
  return i;
};
const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('concurrently', () => {
  test('in input order, with any limit, and never more at once than it', () =>
    assert(
      asyncProperty(integer({ min: 0, max: 20 }), integer({ min: 1, max: 6 }), async (n, limit) => {
        let [running, most] = [0, 0];
        const work = async (i: number) => {
          most = Math.max(most, ++running);
          const result = await slowly(i);
          running--;
          return result;
        };
        expect(await collect(concurrently(numbers(n), work, { limit, order: 'input' }))).toEqual(numbers(n));
        expect(most).toBe(Math.min(n, limit));
      }),
      { numRuns: 15 },
    ));

  test('in the order of completion, each once', async () => {
    const results = await collect(concurrently(numbers(8), slowly, { limit: 8, order: 'completion' }));
    expect([...results].sort((a, b) => a - b)).toEqual(numbers(8));
    expect(results.indexOf(3)).toBeLessThan(results.indexOf(0));
  });

  test('a slow reader slows the stream: no more is taken than is in flight or waits', async () => {
    let taken = 0;
    const stream = (function* () {
      for (;;) yield taken++;
    })();
    const results = concurrently(stream, async (i) => i, { limit: 3, order: 'input' });
    for (let i = 0; i < 5; i++) {
      expect((await results.next()).value).toBe(i);
      await wait(2);
      expect(taken).toBeLessThanOrEqual(i + 1 + 6);
    }
    await results.return(undefined);
  });

  test('a slow item does not stop the others until the window is full', async () => {
    let release = () => {};
    const first = new Promise<void>((resolve) => {
      release = resolve;
    });
    let started = 0;
    const work = async (i: number) => {
      started++;
      if (i === 0) await first;
      return i;
    };
    const results = collect(concurrently(numbers(20), work, { limit: 2, window: 7, order: 'input' }));
    await wait(20);
    expect(started).toBe(7);
    release();
    expect(await results).toEqual(numbers(20));
  });

  test('a stream that pauses does not hold back what is done', async () => {
    let resume = () => {};
    const stream = (async function* () {
      yield 0;
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
      yield 1;
    })();
    const results = concurrently(stream, async (i) => i, { limit: 2, order: 'input' });
    expect((await results.next()).value).toBe(0);
    resume();
    expect((await results.next()).value).toBe(1);
    expect((await results.next()).done).toBe(true);
  });

  test('an error of the work or of the stream ends it when its turn comes; the stream is closed', async () => {
    let closed = 0;
    const stream = (function* () {
      try {
        yield* numbers(9);
      } finally {
        closed++;
      }
    })();
    const failing = async (i: number) => {
      if (i === 2) throw new Error('third');
      return slowly(i);
    };
    const seen: number[] = [];
    await expect(async () => {
      for await (const i of concurrently(stream, failing, { limit: 4, order: 'input' })) seen.push(i);
    }).rejects.toThrow('third');
    expect(seen).toEqual([0, 1]);
    expect(closed).toBe(1);
    const broken = (function* () {
      yield 7;
      throw new Error('stream');
    })();
    const results = concurrently(broken, slowly, { limit: 2, order: 'input' });
    expect((await results.next()).value).toBe(7);
    await expect(results.next()).rejects.toThrow('stream');
  });

  test('after an error nothing new is begun', async () => {
    const begun: number[] = [];
    const work = async (i: number) => {
      begun.push(i);
      if (i === 2) throw new Error('third');
      return i;
    };
    await expect(collect(concurrently(numbers(9), work, { limit: 1, order: 'input' }))).rejects.toThrow(
      'third',
    );
    await wait(5);
    expect(begun).toEqual([0, 1, 2]);
  });

  test('leaving early waits for what is in flight', async () => {
    let running = 0;
    const work = async (i: number) => {
      running++;
      await wait(5);
      running--;
      return i;
    };
    for await (const i of concurrently(numbers(10), work, { limit: 4, order: 'input' })) if (i === 1) break;
    expect(running).toBe(0);
  });
});
