import type * as BullMQ from 'bullmq';
import { GradcamppError, messageOf, show } from '../errors.js';
import { option, text, type OptionsOf } from '../options.js';

/** The packages that speak with Redis, which the user installs. */
export type Bull = typeof BullMQ;

/** Which queue shards go through. */
export const queueOptions = {
  /** redis://[user:password@]host[:port][/database], or rediss:// with TLS. On the command line also GRADCAMPP_REDIS, which no list of processes shows. */
  redis: option(
    (value, name): string => {
      if (typeof value === 'string' && /^rediss?:\/\/[^/]/.test(value) && URL.canParse(value)) return value;
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${name}" must be redis://HOST:PORT; what was received is another text, and not shown, since it may hold a password.`,
      );
    },
    { help: 'the Redis server, redis://host:6379', otherwise: 'GRADCAMPP_REDIS', flag: '--redis <url>' },
  ),
  /** Plans may share one. Default "gradcampp". */
  queue: text({ default: 'gradcampp', help: 'the name of the queue', flag: '--queue <name>' }),
};
export type QueueOptions = OptionsOf<typeof queueOptions>;

/** A job: a shard of a plan. Who runs it finds the plan by its address. */
export interface ShardJob {
  readonly plan: string;
  readonly index: number;
}

/** Times that a shard is tried where it fails, in places that may differ. */
export const attempts = 5;

/** @throws GradcamppError INVALID_OPTION where the packages are not installed */
export async function loadBull(): Promise<Bull> {
  try {
    await import('ioredis');
    return await import('bullmq');
  } catch (cause) {
    throw new GradcamppError(
      'INVALID_OPTION',
      'A queue needs the packages bullmq and ioredis, which are not installed: npm install bullmq ioredis.',
      { cause },
    );
  }
}

/** @throws GradcamppError INVALID_OPTION where there is none */
export function addressOf(redis: string | undefined): string {
  const address = redis ?? process.env.GRADCAMPP_REDIS;
  if (address) return queueOptions.redis.check(address, redis === undefined ? 'GRADCAMPP_REDIS' : 'redis');
  throw new GradcamppError(
    'INVALID_OPTION',
    'Which Redis server? Give --redis redis://HOST:6379, or set GRADCAMPP_REDIS.',
  );
}

/** A connection of BullMQ; the password is in no message. */
export function connectionTo(address: string, rest: object = {}): BullMQ.ConnectionOptions {
  return { url: address, ...rest } as BullMQ.ConnectionOptions;
}

export function unreachable(address: string, cause: unknown): GradcamppError {
  const { host } = new URL(address);
  return new GradcamppError(
    'RUNTIME',
    `The Redis server at ${show(host)} cannot be reached: ${messageOf(cause)}.`,
    {
      cause,
    },
  );
}
