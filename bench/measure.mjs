// What the benchmarks share: statistics, what machine it was, and a report that grows section by section.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const round = (x, digits = 4) => Number(x.toPrecision(digits));

/** The middle value; of an even number of them the mean of the two. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

export function statistics(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q) => round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]);
  return { median: round(median(values)), least: at(0), quartiles: [at(0.25), at(0.75)], samples: sorted.length };
}

/** The ratios of pairs that were measured one after another: a disturbance spoils one pair, not the comparison. */
export function pairedRatio(a, b) {
  return round(median(a.map((value, i) => value / b[i])), 3);
}

/** Milliseconds of processor time of all threads so far: what a busy machine does not stretch. */
export function processorTime() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const load = () => round(loadavg()[0], 2);

export function machine() {
  return {
    processor: cpus()[0].model,
    processors: availableParallelism(),
    memoryGiB: round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
  };
}

const versionIn = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;

/** Versions of Node.js, of this package, and of packages that are installed in `folder`. */
export function versions(packages = ['onnxruntime-node'], folder = '..') {
  return {
    node: process.version,
    gradcampp: versionIn('../package.json'),
    ...Object.fromEntries(packages.map((name) => [name, versionIn(`${folder}/node_modules/${name}/package.json`)])),
  };
}

/** A folder of the shared material beside the checkout, or what `given` names. */
export function shared(name, given) {
  const path = given ?? fileURLToPath(new URL(`../../shared/${name}`, import.meta.url));
  if (existsSync(path)) return path;
  console.log(`There is no ${path}; name another with a flag.`);
  process.exit(0);
}

/** Command line flags; every benchmark has --only (parts of section names, by commas) and --out. */
export function flags(own) {
  const text = { type: 'string' };
  const all = Object.entries(own).map(([name, value]) => [name, { ...text, ...(value === undefined ? {} : { default: value }) }]);
  return parseArgs({ options: { only: text, out: text, ...Object.fromEntries(all) } }).values;
}

/**
 * The sections of one benchmark, measured and written one by one, so that they can be measured apart: those that are
 * not asked for stay as an earlier call left them. A section gives `rows`, of a table, and anything else that is worth
 * keeping; docs/benchmarks.md is made of the rows.
 */
export class Report {
  #file;
  #only;
  #content;

  constructor(name, what, { only, out }, more = {}) {
    this.#file = out ?? fileURLToPath(new URL(`results/${name}.json`, import.meta.url));
    this.#only = only?.split(',');
    const earlier = existsSync(this.#file) ? JSON.parse(readFileSync(this.#file, 'utf8')) : {};
    this.#content = { what, machine: machine(), versions: versions(), ...more, sections: earlier.sections ?? {} };
  }

  async section(title, run) {
    if (this.#only && !this.#only.some((part) => title.includes(part))) return;
    console.log(`\n${title}`);
    const before = load();
    const result = await run();
    if (!result) return;
    const load1 = { before, after: load() };
    this.#content.sections[title] = { date: new Date().toISOString(), load: load1, command: command(), ...result };
    for (const rows of [result.rows, result.ratios]) if (rows) console.table(rows);
    mkdirSync(new URL('results/', import.meta.url), { recursive: true });
    writeFileSync(this.#file, `${JSON.stringify(this.#content, null, 1)}\n`);
  }
}

/** How this was called, to be repeated. */
function command() {
  const [, script, ...rest] = process.argv;
  const own = rest.filter((argument, i) => argument !== '--out' && rest[i - 1] !== '--out');
  return ['node', `bench/${script.split('/').at(-1)}`, ...own].join(' ');
}
