// What becomes of shards where machines, Redis, the network or the storage fail at a random moment: real processes, a real Redis
// server, an S3 server, two workers. Every run ends with a merge, which is compared, byte by byte, with what one machine's `explain`
// writes, and its lines are counted. Beside it stands the same run without the fault, so that the time lost is known.
// Usage, as root on Linux, with redis-server: npm run faults:fleet [-- --runs 20 --seed 1 --only kill,stop --out table.md]
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type * as MergeModule from '../../src/fleet/merge.js';
import type * as PlanModule from '../../src/fleet/plan.js';
import type * as StoragesModule from '../../src/fleet/storages/index.js';
import type * as SubmitModule from '../../src/fleet/submit.js';
import { RedisServer } from '../../test/fleet/redis-server.js';
import { type S3Server, startS3 } from '../../test/fleet/s3-server.js';
import { randomNumbers } from '../../test/map/random.js';
import { digest, type Environment, gradcampp, project, start, type Started } from './processes.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string' },
    shards: { type: 'string', default: '4' },
    /** Pictures of a shard. */
    size: { type: 'string', default: '10' },
    /** A table for docs/fleet.md. */
    out: { type: 'string' },
  },
});
const built = <T>(path: string): Promise<T> =>
  import(pathToFileURL(join(project, 'dist/fleet', path)).href) as Promise<T>;
const { planShards } = await built<typeof PlanModule>('plan.js');
const { submitShards } = await built<typeof SubmitModule>('submit.js');
const { mergeShards } = await built<typeof MergeModule>('merge.js');
const { openStorage } = await built<typeof StoragesModule>('storages/index.js');
const root = mkdtempSync(join(tmpdir(), 'gradcampp-faults-'));
const random = randomNumbers(Number(values.seed));
const model = join(project, 'assets/shapes.onnx');
const runs = Number(values.runs);

/** Seconds after which a silent worker loses its shard. */
const lock = 2;
const [shards, size] = [Number(values.shards), Number(values.size)];

const photos = join(root, 'photos');
mkdirSync(photos);
const originals = readdirSync(join(project, 'assets/pictures')).filter((name) => name.endsWith('.png'));
for (let i = 0; i < shards * size; i++) {
  const path = join(photos, `${String(i).padStart(3, '0')}.png`);
  if (i % 25 === 4) writeFileSync(path, 'no picture');
  else copyFileSync(join(project, 'assets/pictures', originals[i % originals.length]), path);
}

const poison = join(photos, `${String(Math.floor(shards * size * random())).padStart(3, '0')}.png`);
const poisoned = {
  POISON: poison,
  NODE_OPTIONS: `--import ${pathToFileURL(join(project, 'test/support/poison.mjs')).href}`,
};

/** A run of all shards, in which something may happen. */
interface Trial {
  readonly plan: string;
  readonly redis: RedisServer;
  readonly workers: readonly Started[];
  /** Runs a worker's command in a network of its own. */
  readonly networks: Networks | undefined;
  readonly s3: S3Server | undefined;
  /** A folder in a small file system, where the plan is. */
  readonly small: string | undefined;
  /** Waits for the moment at which it happens. */
  readonly moment: () => Promise<void>;
}

interface Fault {
  /** For the table. */
  readonly title: string;
  readonly inflict: (trial: Trial) => Promise<void>;
  readonly keeps?: boolean;
  readonly storage?: 's3' | 'small';
  readonly networks?: boolean;
  readonly env?: Environment;
  /** Queues that the shards are put into; each worker has its own where there are two. */
  readonly queues?: number;
  /** Seconds of the trial in which the fault lasts, by itself. */
  readonly lasts?: number;
}

const faults: Readonly<Record<string, Fault>> = {
  kill: {
    title: 'a worker is killed (SIGKILL)',
    inflict: async ({ workers, moment }) => {
      await moment();
      workers[Math.floor(2 * random())].child.kill('SIGKILL');
    },
  },
  stop: {
    title: `a worker is stopped for ${3 * lock} s, and goes on: two owners of a shard`,
    inflict: async ({ workers, moment }) => {
      await moment();
      const { child } = workers[Math.floor(2 * random())];
      child.kill('SIGSTOP');
      await wait(3000 * lock);
      child.kill('SIGCONT');
    },
  },
  restart: {
    title: 'Redis is killed, and started again after 1 s with what it had',
    keeps: true,
    lasts: 1,
    inflict: async ({ redis, moment }) => {
      await moment();
      await redis.kill();
      await wait(1000);
      await redis.again();
    },
  },
  forget: {
    title: 'the same, with nothing; `shard submit` again',
    keeps: false,
    lasts: 1,
    inflict: async ({ redis, plan, moment }) => {
      await moment();
      await redis.kill();
      await wait(1000);
      await redis.again();
      await submitShards({ plan, redis: redis.url, queue: 'queue-0' });
    },
  },
  network: {
    title: `a worker's network is cut for ${3 * lock} s`,
    networks: true,
    inflict: async ({ networks, moment }) => {
      await moment();
      networks?.set(0, 'down');
      await wait(3000 * lock);
      networks?.set(0, 'up');
    },
  },
  full: {
    title: 'the storage is full for 2 s',
    storage: 'small',
    lasts: 2,
    inflict: async ({ small, moment }) => {
      await moment();
      const filler = join(small as string, 'filler');
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(1 << 16));
      } catch {
        // it is full
      }
      await wait(2000);
      rmSync(filler);
    },
  },
  answers: {
    title: 'S3 answers every other request with 503, and conditional ones with 412, for 3 s',
    storage: 's3',
    lasts: 3,
    inflict: async ({ s3, moment }) => {
      await moment();
      const server = s3 as S3Server;
      server.fault = () => (random() < 0.5 ? (random() < 0.5 ? 'busy' : 'taken') : undefined);
      await wait(3000);
      server.fault = () => undefined;
    },
  },
  twice: {
    title: 'every job is delivered twice, to two workers at once',
    queues: 2,
    inflict: async () => undefined,
  },
  poison: {
    title: 'a picture ends the process that opens it',
    env: poisoned,
    inflict: async () => undefined,
  },
};

/** Two networks beside the system's, each with a worker; they reach Redis at an address of ours. */
class Networks {
  readonly #names = [0, 1].map((i) => `gradcampp-${process.pid}-${i}`);

  constructor() {
    for (const [i, name] of this.#names.entries()) {
      const [ours, theirs] = [`gc${process.pid}${i}`, 'eth0'];
      const net = `10.${200 + i}.${process.pid % 250}`;
      run('ip', 'netns', 'add', name);
      run('ip', 'link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs, 'netns', name);
      run('ip', 'address', 'add', `${net}.1/24`, 'dev', ours);
      run('ip', 'link', 'set', ours, 'up');
      run('ip', '-n', name, 'address', 'add', `${net}.2/24`, 'dev', theirs);
      run('ip', '-n', name, 'link', 'set', theirs, 'up');
    }
  }

  within(i: number): string[] {
    return ['ip', 'netns', 'exec', this.#names[i]];
  }

  address(i: number, url: string): string {
    return url.replace('127.0.0.1', `10.${200 + i}.${process.pid % 250}.1`);
  }

  set(i: number, state: 'up' | 'down'): void {
    run('ip', 'link', 'set', `gc${process.pid}${i}`, state);
  }

  close(): void {
    for (const name of this.#names) run('ip', 'netns', 'delete', name);
  }
}

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}

const settings = [photos, '--model', model, '--save', 'overlay,npy'];
const folders = { whole: join(root, 'whole'), poisoned: join(root, 'poisoned') };
await gradcampp(['explain', ...settings, '--out', folders.whole], [3]);
await gradcampp(['explain', ...settings, '--isolate', '--out', folders.poisoned], [3], poisoned);
const expected = { whole: digest(folders.whole), poisoned: digest(folders.poisoned) };

let count = 0;
/** Runs all shards; where `length` is given, the fault happens within so many milliseconds. @returns milliseconds that it took */
async function attempt(fault: Fault, length?: number): Promise<number> {
  const id = count++;
  const { keeps = true, storage, queues = 1, env = {} } = fault;
  const redis = await RedisServer.start({ keeps, isOpen: fault.networks });
  const s3 = storage === 's3' ? await startS3() : undefined;
  const small = storage === 'small' ? join(root, `small-${id}`) : undefined;
  const networks = fault.networks ? new Networks() : undefined;
  try {
    if (small) {
      mkdirSync(small);
      run('mount', '-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', small);
    }
    const plan = s3 ? `s3://bucket/${id}` : (small ?? join(root, `plan-${id}`));
    await planShards({ model, images: [photos], outputs: { save: ['overlay', 'npy'] }, size, out: plan });
    const names = Array.from({ length: queues }, (_, i) => `queue-${i}`);
    for (const queue of names) await submitShards({ plan, redis: redis.url, queue });
    const since = performance.now();
    const work = (i: number) => {
      const own = ['--redis', networks?.address(i, redis.url) ?? redis.url, '--queue', names[i % queues]];
      const args = ['shard', 'work', ...own, '--lock', String(lock), '--workers', '0', '--until-empty'];
      const isPoisoned = length !== undefined && fault.env;
      return start(args, isPoisoned ? env : {}, networks?.within(i));
    };
    const workers = [work(0), work(1)];
    const moment = () => wait((length ?? 0) * random());
    // Others take the place of machines that are gone.
    const watch = async (worker: Started, i: number): Promise<void> => {
      const { code, said } = await worker.ended;
      if (code === 'SIGKILL') return fault.env ? watch(work(i), i) : undefined;
      if (code !== 0) throw new Error(`A worker ended with ${code}: ${said}`);
      if (/internal fault|Unhandled/.test(said)) throw new Error(said);
    };
    const watched = Promise.all(workers.map(watch));
    watched.catch(() => undefined);
    let done = 0;
    const storageOfPlan = await openStorage(plan);
    const allDone = (async () => {
      for (let names = new Set<string>(); names.size < shards; await wait(50)) {
        names = new Set();
        for await (const name of storageOfPlan.list('shards')) names.add(name);
      }
      done = performance.now() - since;
    })();
    if (length !== undefined) await fault.inflict({ plan, redis, workers, networks, s3, small, moment });
    await Promise.race([
      allDone,
      watched
        .then(() => wait(5000))
        .then(() => Promise.reject(new Error('The workers ended, and shards are missing.'))),
    ]);
    await watched;
    const merged = join(root, `merged-${id}`);
    await mergeShards({ plan, out: merged });
    const [found, wanted] = [
      digest(merged),
      length !== undefined && fault.env ? expected.poisoned : expected.whole,
    ];
    const lines = readFileSync(join(merged, 'results.jsonl'), 'utf8').trimEnd().split('\n').length;
    if (found !== wanted || lines !== shards * size)
      throw new Error(`The merged folder differs: ${merged}, seed ${values.seed}`);
    rmSync(merged, { recursive: true });
    if (!s3 && !small) rmSync(plan, { recursive: true });
    return done;
  } finally {
    if (small) run('umount', small);
    networks?.close();
    await s3?.close();
    await redis.end();
  }
}

const median = (list: readonly number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(1);

/** Milliseconds of each run, without the fault and with it. */
const times = (values.only?.split(',') ?? Object.keys(faults)).map((name) => ({
  fault: faults[name],
  without: [] as number[],
  withIt: [] as number[],
}));
console.log(`seed ${values.seed}`);
for (let i = 0; i < runs; i++) {
  for (const { fault, without, withIt } of times) {
    if (i % 4 === 0) without.push(await attempt(fault));
    withIt.push(await attempt(fault, median(without)));
    console.log(
      `${i + 1} of ${runs}, ${fault.title}: ${seconds(withIt[i])} s, without ${seconds(median(without))} s`,
    );
  }
  const rows = times.map(({ fault, without, withIt }) => {
    const [a, b] = [median(without), median(withIt)];
    return `| ${fault.title} | ${withIt.length} of ${withIt.length} | ${seconds(a)} s | ${seconds(b)} s | ${seconds(b - a)} s |`;
  });
  const heads = '| what happens | identical | without | with | lost |\n|---|--:|--:|--:|--:|';
  if (values.out) writeFileSync(values.out, `${heads}\n${rows.join('\n')}\n`);
  if (i === runs - 1) console.log(`\n${heads}\n${rows.join('\n')}`);
}
rmSync(root, { recursive: true });
