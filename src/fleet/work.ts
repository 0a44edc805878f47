import { hostname } from 'node:os';
import type { Job } from 'bullmq';
import { type WorkforceOptions, workforceSettingsOf } from '../batch/run-options.js';
import { Crew } from '../batch/workers/crew.js';
import { messageOf } from '../errors.js';
import { number, type OptionsOf, readOptions, yesOrNo } from '../options.js';
import {
  addressOf,
  connectionTo,
  loadBull,
  type QueueOptions,
  queueOptions,
  type ShardJob,
  unreachable,
} from './queue.js';
import { runShard, type ShardOptions, type ShardSummary } from './run-shard.js';
import { shardOptions } from './shard-options.js';

const { model, work, allowFailed } = shardOptions;

/** What a machine that takes shards needs to know. */
export const workOptions = {
  model,
  work,
  allowFailed,
  /** In seconds; a worker gives two signs in that time. Default 30. */
  lock: number({
    from: 1,
    to: 3600,
    default: 30,
    help: 'seconds without a sign of life after which a shard is another’s',
    flag: '--lock <seconds>',
  }),
  /** Default: wait for more. */
  untilEmpty: yesOrNo({
    default: false,
    help: 'end when nothing is left in the queue, with others either',
    flag: '--until-empty',
  }),
};

export type WorkOptions = QueueOptions &
  OptionsOf<typeof workOptions> & {
    readonly workforce?: WorkforceOptions;
    /** Finishes the pictures in flight, and gives the shard back. */
    readonly signal?: AbortSignal;
  };

export interface WorkListener {
  /** A shard was begun. */
  begun?(job: ShardJob): void;
  /** It ended. */
  ended?(summary: ShardSummary, job: ShardJob): void;
  /** It failed here; whether it is tried again. */
  failed?(job: ShardJob, error: Error, isTriedAgain: boolean): void;
  /** Something about the connection. */
  note?(text: string): void;
}

/** Shards that were done here, and that failed here for good. */
export interface Worked {
  readonly done: number;
  readonly failed: number;
}

/** Times that a server is tried which was never reached, before a worker that is to end by itself does: some ten seconds. */
const mostTries = 8;

/**
 * Milliseconds that a worker waits after a shard has failed with it, twice as long each time, up to the longest, until one goes well:
 * a machine without the disk, or with another model, would fail all shards as often as they are tried, before others can take them.
 */
const [pauseAfterFailure, longestPause] = [1000, 30_000];

/** Milliseconds between two looks whether a queue is empty. */
const lookEvery = 500;

/**
 * Takes shards out of a queue, one after the other, until it is stopped. Its threads or processes keep the model open from one
 * shard of a run to the next. A shard whose worker ended with it is run in processes of
 * its own the next time (`workforce.isolate`), where a picture that ends its process becomes a line with an error.
 *
 * @throws GradcamppError
 */
export async function workShards(options: WorkOptions, listener: WorkListener = {}): Promise<Worked> {
  const { workforce = {}, signal, redis, queue: name, ...others } = options;
  const { untilEmpty, lock, ...own } = readOptions('the worker', workOptions, others);
  const chosen = readOptions('the queue', queueOptions, { redis, queue: name });
  workforceSettingsOf(workforce); // what is wrong with it would be with every shard
  const address = addressOf(chosen.redis);
  const bull = await loadBull();
  const worked = { done: 0, failed: 0 };
  const crew: NonNullable<ShardOptions['crew']> = new Crew();
  let isRunning = false;
  let failures = 0; // one after the other
  let wasReached = false;
  const givenUp = new AbortController();
  const connection = connectionTo(address, {
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => {
      if (untilEmpty && !wasReached && times >= mostTries) givenUp.abort();
      return Math.min(20_000, Math.max(1000, Math.exp(times)));
    },
  });
  const ending = AbortSignal.any([givenUp.signal, ...(signal ? [signal] : [])]);
  const isEnding = aborted(ending);
  const ended = new AbortController();
  const over = AbortSignal.any([ending, ended.signal]);

  const runOne = async (job: Job<ShardJob>, token: string | undefined) => {
    const { plan, index } = job.data;
    listener.begun?.(job.data);
    let pictures = 0;
    const isSuspect = job.attemptsStarted > 1;
    const summary = await runShard(
      { ...own, plan, index, signal, crew, workforce: isSuspect ? isolated(workforce) : workforce },
      {
        picture: () =>
          void (++pictures % 16 === 0 && void job.updateProgress({ pictures }).catch(() => undefined)),
      },
    );
    if (summary.outcome === 'stopped') {
      await job.moveToWait(token);
      throw new bull.WaitingError();
    }
    worked.done++;
    listener.ended?.(summary, job.data);
    return summary;
  };

  /** Takes no shard for a while. */
  const rest = async () => {
    await worker.pause(true);
    const milliseconds = Math.min(longestPause, pauseAfterFailure * 2 ** failures++);
    void paused(milliseconds, over).then(() => (over.aborted ? undefined : worker.resume()));
  };

  const worker = new bull.Worker<ShardJob>(
    chosen.queue,
    async (job, token) => {
      isRunning = true;
      try {
        const summary = await runOne(job, token);
        failures = 0;
        return summary;
      } catch (error) {
        if (!(error instanceof bull.WaitingError)) await rest();
        throw error;
      } finally {
        isRunning = false;
      }
    },
    {
      connection,
      name: `${hostname()} ${process.pid}`,
      concurrency: 1,
      lockDuration: 1000 * lock,
      stalledInterval: 1000 * lock,
      maxStalledCount: 20, // a shard whose workers are taken away is no fault of the shard
    },
  );
  let said: string | undefined;
  let problem: unknown;
  worker.on('error', (error) => {
    problem = error;
    const text = unreachable(address, error).message;
    if (text !== said) listener.note?.(`${text} It is tried again.`);
    said = text;
  });
  worker.on('ready', () => {
    wasReached = true;
    if (said !== undefined) listener.note?.('The Redis server is reached again.');
    said = undefined;
  });
  worker.on('failed', (job, error) => {
    if (!job || error.name === 'WaitingError') return;
    const isTriedAgain = job.attemptsMade < (job.opts.attempts ?? 1);
    if (!isTriedAgain) worked.failed++;
    listener.failed?.(job.data, error, isTriedAgain);
  });
  const queue = new bull.Queue<ShardJob>(chosen.queue, { connection });
  queue.on('error', () => undefined); // the worker says it
  try {
    for (;;) {
      await paused(lookEvery, ending);
      if (ending.aborted) break;
      if (untilEmpty && (await Promise.race([isEmpty(queue), isEnding]))) break;
    }
  } finally {
    ended.abort();
    // BullMQ waits for a server that is away, for ever. Without a shard there is nothing to give back to it.
    const isForced = said !== undefined && !isRunning;
    await worker.close(isForced).catch((error: unknown) => listener.note?.(messageOf(error)));
    await queue.close().catch(() => undefined);
    await crew.close();
  }
  if (givenUp.signal.aborted && !signal?.aborted) throw unreachable(address, problem);
  return worked;
}

/** Where workers are wanted in no process but this, one has to do. */
function isolated(workforce: WorkforceOptions): WorkforceOptions {
  return { ...workforce, isolate: true, ...(workforce.workers === 0 ? { workers: 1 } : {}) };
}

/** Never, or when the signal is given. */
function aborted(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(true), { once: true }));
}

/** Whether nothing waits and nobody works. A server that is away is waited for. */
async function isEmpty(queue: {
  getJobCounts(...types: string[]): Promise<Record<string, number>>;
}): Promise<boolean> {
  const counts = await queue
    .getJobCounts('wait', 'active', 'delayed', 'prioritized', 'paused')
    .catch(() => undefined);
  return counts !== undefined && Object.values(counts).every((count) => count === 0);
}

function paused(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end);
  });
}
