// npm run distillation -- --out <dir> [--data <dir> --teacher <file> [--teacher <file>]] [--drawn]: trains the students of
// docs/distillation.md and writes it anew, of all that <dir> has finished. --data holds train/ and test/ of CIFAR-10, a folder for each
// class in each, and teachers have their sidecars beside them; --drawn is the study on drawn pictures. It can be ended at any
// time: the same call goes on, and what is finished is not done again.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { page } from './distillation/page.mjs';
import { once, say, study } from './distillation/study.mjs';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    teacher: { type: 'string', multiple: true, default: [] },
    drawn: { type: 'boolean', default: false },
    out: { type: 'string' },
    seeds: { type: 'string', default: '5' },
    epochs: { type: 'string', default: '5' },
    limit: { type: 'string', default: '1000' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
if (!flags.out || (flags.teacher.length > 0 && !flags.data)) {
  process.stderr.write('Give --out, and --data with --teacher; the head of this file says what they are.\n');
  process.exit(1);
}
const [seeds, epochs, limit, workers] = ['seeds', 'epochs', 'limit', 'workers'].map((name) => Number(flags[name]));
if (!(seeds >= 3)) {
  process.stderr.write('Give at least three --seeds: fewer have no interval.\n');
  process.exit(1);
}
const { out, data } = flags;

const nameOf = (teacher) => basename(teacher).replace(/(_cifar10)?\.onnx$/, '');
const cifarStudy = (teacher) =>
  study({
    name: nameOf(teacher),
    out,
    seeds,
    tried: { interpret: [0.1, 0.5, 2], kd: [0.1, 0.3, 1, 3], attention: [0.1, 1, 10] },
    options: {
      student: 'resnet-8',
      width: 0.5,
      teacher,
      data: join(data, 'train'),
      test: join(data, 'test'),
      limit,
      epochs,
      workers,
    },
  });

/** Minutes that have passed, and those of processors, of this process and of those that it has waited for. */
async function minutes() {
  const fields = await readFile('/proc/self/stat', 'utf8').catch(() => '');
  const ticks = fields.slice(fields.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number);
  return { passed: performance.now() / 60_000, processor: ticks.reduce((sum, value) => sum + value, 0) / 6000 };
}

/** A study, or what it came to before; ended runs count the time of the last one alone. */
async function finished(name, compute) {
  const result = await once(join(out, `study-${name}.json`), async () => {
    const before = await minutes();
    const own = await compute();
    const after = await minutes();
    const took = Object.fromEntries(Object.entries(after).map(([what, value]) => [what, Math.round(value - before[what])]));
    return { ...own, seeds, epochs, took, machine: `${cpus().length} cores of "${cpus()[0].model.trim()}"` };
  });
  const known = await once(join(out, 'studies.json'), () => []);
  if (!known.includes(name)) await writeFile(join(out, 'studies.json'), JSON.stringify([...known, name]));
  await writeFile('docs/distillation.md', await page(out));
  say(`docs/distillation.md is written, with ${name}`);
  return result;
}

await mkdir(out, { recursive: true });
for (const teacher of flags.teacher) await finished(nameOf(teacher), () => cifarStudy(teacher));
if (flags.drawn) {
  const { drawnStudy } = await import('./distillation/drawn.mjs');
  await finished('drawn', () => drawnStudy({ out, seeds, workers }));
}
