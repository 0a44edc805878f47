import { createHash } from 'node:crypto';
import { asOurs } from '../errors.js';
import { readOptions } from '../options.js';
import { readManifests } from './manifest.js';
import { type OpenPlan, readPlan } from './plan.js';
import {
  addressOf,
  attempts,
  connectionTo,
  loadBull,
  type QueueOptions,
  queueOptions,
  type ShardJob,
  unreachable,
} from './queue.js';

export interface Submitted {
  readonly shards: number;
  /** Shards that are done, by their manifests. */
  readonly done: number;
  /** Jobs that are new in the queue, or are there again: they had failed, or their results are gone. */
  readonly added: number;
  /** Jobs that were in the queue. */
  readonly waiting: number;
  readonly queue: string;
}

/** Jobs that are looked at together. */
const together = 256;

/**
 * Puts the shards of a plan that are not done into a queue. A shard has one job, whatever how often this is called: call it again
 * where jobs failed, or where Redis has lost them.
 *
 * @param plan address of `plan.json`, or of the folder that it is in; workers must find it by the same
 * @throws GradcamppError
 */
export async function submitShards({
  plan,
  ...rest
}: QueueOptions & { readonly plan: string }): Promise<Submitted> {
  const { redis, queue: name } = readOptions('the queue', queueOptions, rest);
  const address = addressOf(redis);
  const bull = await loadBull();
  const open = await readPlan(plan);
  const manifests = await readManifests(open);
  const missing = manifests.flatMap((manifest, index) => (manifest ? [] : [index]));
  const queue = new bull.Queue<ShardJob>(name, {
    connection: connectionTo(address, {
      maxRetriesPerRequest: 2,
      retryStrategy: (times: number) => (times > 2 ? null : 500),
    }),
  });
  let problem: unknown;
  queue.on('error', (error) => {
    problem = error;
  });
  try {
    await queue.waitUntilReady();
    let [added, waiting] = [0, 0];
    const id = planId(open);
    for (let start = 0; start < missing.length; start += together) {
      const part = missing.slice(start, start + together);
      const states = await Promise.all(part.map((index) => prepared(queue, jobId(id, index))));
      waiting += states.filter((isWaiting) => isWaiting).length;
      const jobs = part.flatMap((index, i) => (states[i] ? [] : [jobOf(id, plan, index)]));
      await queue.addBulk(jobs);
      added += jobs.length;
    }
    return { shards: manifests.length, done: manifests.length - missing.length, added, waiting, queue: name };
  } catch (cause) {
    throw problem ? unreachable(address, problem) : asOurs(cause);
  } finally {
    await queue.close().catch(() => undefined);
  }
}

/** Whether the job is there and has not ended; one that ended without results is taken out, to be added anew. */
async function prepared(
  queue: {
    getJob(id: string): Promise<{ getState(): Promise<string>; remove(): Promise<void> } | undefined>;
  },
  id: string,
): Promise<boolean> {
  const job = await queue.getJob(id);
  if (!job) return false;
  const state = await job.getState();
  if (state !== 'completed' && state !== 'failed') return true;
  await job.remove();
  return false;
}

/** The same plan may lie in two places, whose results are not each other's. */
function planId({ plan, storage }: OpenPlan): string {
  const where = storage.address.replace(/\/+$/, '');
  return createHash('sha256').update(`${plan.checksum} ${where}`).digest('hex').slice(0, 16);
}

/** The plan and the shard: the same job cannot be there twice. */
function jobId(id: string, index: number): string {
  return `${id}-${index}`;
}

function jobOf(id: string, plan: string, index: number) {
  const opts = {
    jobId: jobId(id, index),
    attempts,
    backoff: { type: 'exponential', delay: 1000 },
    removeOnComplete: { age: 7 * 24 * 3600 },
  };
  return { name: 'shard', data: { plan, index }, opts };
}
