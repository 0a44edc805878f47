// Ten million pictures on 1 to 1,000 workers, simulated shard by shard: how long it takes, what a queue and a storage are asked, and
// what is saturated first. What is measured in it says where; all else is assumed, and flags change it. Times and lost shards are means
// of ten draws.
// Usage: node scripts/fleet/simulate.mjs [--pictures 10000000 --size 512 --rate 10 --lost 0.01 --seed 1 …]
import { parseArgs } from 'node:util';
import { randomFrom } from '../../test/fuzz/mutate.mjs';

const assumed = {
  pictures: 10_000_000,
  /** Of a shard. */
  size: 512,
  /** Pictures a second of a worker: a network of some 100 ms. Workers differ by a factor of two at most. */
  rate: 10,
  /** Seconds that a worker takes to begin and to end a shard: assumed; it reads and writes, and the model stays open (bench/fleet.mjs). */
  shard: 1,
  /**
   * Workers that are lost, of one in an hour, as cheap machines are taken away; another comes after so many seconds. Assumed, between what
   * is published: AWS's Spot Instance Advisor has classes from below 5 % to above 20 % in a month (0.00007 to 0.0003 in an hour), and
   * Google's preemptible machines live for 24 hours at most (0.04, and more in their first hours: Kadupitiya and others, HPDC 2020).
   */
  lost: 0.01,
  replaced: 120,
  /** Seconds after which a silent worker loses its shard; the queue looks for such as often. */
  lock: 30,
  /** Requests for a shard. Redis: it is taken, ends, and says after every 16 pictures how far it is; signs of life come every half lock. */
  commands: 2 + 512 / 16,
  /** Storage: plan, manifest, list; of pictures in a bucket each is one more. */
  gets: 4,
  /** Results, inputs, files, manifest. */
  puts: 4,
  /** MB that a worker reads of a picture, and writes. */
  read: 0.1,
  written: 0.02,
  /** Limits: what S3 promises below a prefix, a Redis server of one thread, a network of 10 Gbit/s to a storage of one's own. */
  getLimit: 5500,
  putLimit: 3500,
  commandLimit: 50_000,
  bandwidth: 1250,
  /** Milliseconds of one machine for a picture of the merge, and of the plan: measured (bench/fleet.mjs). */
  merge: 0.45,
  plan: 0.018,
  seed: 1,
};
const { values } = parseArgs({ options: Object.fromEntries(Object.keys(assumed).map((name) => [name, { type: 'string' }])) });
const given = { ...assumed, ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])) };
const shards = Math.ceil(given.pictures / given.size);
const draws = 10;

/** What happens next, first. */
class Agenda {
  #heap = [];
  get size() {
    return this.#heap.length;
  }
  add(time, what) {
    const heap = this.#heap;
    heap.push([time, what]);
    for (let i = heap.length - 1; i > 0; ) {
      const above = (i - 1) >> 1;
      if (heap[above][0] <= heap[i][0]) break;
      [heap[above], heap[i]] = [heap[i], heap[above]];
      i = above;
    }
  }
  next() {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (heap.length > 0) {
      heap[0] = last;
      for (let i = 0; ; ) {
        let least = i;
        for (const below of [2 * i + 1, 2 * i + 2]) if (below < heap.length && heap[below][0] < heap[least][0]) least = below;
        if (least === i) break;
        [heap[least], heap[i]] = [heap[i], heap[least]];
        i = least;
      }
    }
    return first;
  }
}

/** Means of several draws. @param slower by which everything shared makes workers slower: found by what they ask for together */
function simulate(workers, slower) {
  const all = Array.from({ length: draws }, (_, i) => draw(workers, slower, given.seed + i));
  const mean = (name) => all.reduce((sum, one) => sum + one[name], 0) / draws;
  return { time: mean('time'), lost: mean('lost') };
}

function draw(workers, slower, seed) {
  const random = randomFrom(seed);
  const agenda = new Agenda();
  const speeds = Array.from({ length: workers }, () => 0.75 + 0.5 * random());
  let [waiting, done, lost, time] = [shards, 0, 0, 0];
  const idle = [];
  const take = (worker, now) => {
    if (waiting === 0) return void idle.push(worker);
    waiting--;
    const length = given.shard + (slower * given.size) / (given.rate * speeds[worker]);
    const life = given.lost > 0 ? (-Math.log(1 - random()) * 3600) / given.lost : Number.POSITIVE_INFINITY;
    if (life < length) {
      agenda.add(now + life + given.lock * (1 + random()), { free: true });
      agenda.add(now + life + given.replaced, { worker });
      lost++;
    } else agenda.add(now + length, { worker, isDone: true });
  };
  for (let worker = 0; worker < workers; worker++) take(worker, 0);
  while (done < shards) {
    const [now, { worker, isDone, free }] = agenda.next();
    if (isDone) {
      done++;
      time = now;
    }
    if (free) {
      waiting++;
      if (idle.length > 0) take(idle.pop(), now);
    } else take(worker, now);
  }
  return { time, lost };
}

/** What is asked in a second on average, and how much of its limit that is. */
function loads(time, lost, inBucket) {
  const runs = (shards + lost) / time;
  const gets = given.gets + (inBucket ? given.size : 0);
  return {
    'Redis commands': [runs * given.commands, given.commandLimit],
    'GETs below a prefix': [runs * gets, given.getLimit],
    'PUTs below a prefix': [runs * given.puts, given.putLimit],
    'MB/s of the storage': [runs * given.size * (given.read + given.written), given.bandwidth],
  };
}

const duration = (seconds) =>
  seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} d`;
const percent = ([value, limit]) => `${Number(((100 * value) / limit).toPrecision(2))} %`;

console.log(JSON.stringify(given));
const rows = [];
for (const workers of [1, 10, 100, 300, 1000]) {
  // Where something shared would be asked for more than it has, all wait for it: until nothing is.
  let [slower, found, load] = [1];
  for (let i = 0; i < 40; i++) {
    found = simulate(workers, slower);
    load = loads(found.time, found.lost, true);
    const most = Math.max(...Object.values(load).map(([value, limit]) => value / limit));
    if (most <= 1.005) break;
    slower *= most;
  }
  const [first] = Object.entries(load).toSorted(([, a], [, b]) => b[0] / b[1] - a[0] / a[1]);
  rows.push(
    `| ${workers} | ${duration(found.time)} | ${Number(found.lost.toPrecision(2))} | ${Object.values(load)
      .map((one) => `${Number(one[0].toPrecision(2))} (${percent(one)})`)
      .join(' | ')} | ${slower > 1 ? `${first[0]}: workers wait ${Math.round(100 * (1 - 1 / slower))} % of the time` : 'workers'} |`,
  );
}
console.log(`
| workers | all shards | lost shards | ${Object.keys(loads(1, 0, true)).join(' | ')} | what limits it |
|--:|--:|--:|--:|--:|--:|--:|---|
${rows.join('\n')}

On one machine: the plan ${duration((given.plan * given.pictures) / 1000)}, the merge ${duration((given.merge * given.pictures) / 1000)} of the processor.`);
