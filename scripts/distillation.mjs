// npm run distillation -- --data <dir> --teacher <file> [--teacher <file>] --out <dir>: trains the students of
// docs/distillation.md and writes it anew. <dir> holds train/ and test/, a folder for each class in each; teachers have
// their sidecars beside them. It can be ended at any time: the same call goes on, and what is finished is not done again.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { distill } from '../dist/train/index.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    teacher: { type: 'string', multiple: true },
    out: { type: 'string' },
    seeds: { type: 'string', default: '5' },
    epochs: { type: 'string', default: '5' },
    limit: { type: 'string', default: '1000' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
if (!flags.data || !flags.teacher || !flags.out) {
  process.stderr.write('Give --data, --teacher and --out; the head of this file says what they are.\n');
  process.exit(1);
}
const [seeds, epochs, limit, workers] = ['seeds', 'epochs', 'limit', 'workers'].map((name) => Number(flags[name]));

const none = { labels: 1, interpret: 0, kd: 0, attention: 0, temperature: 4, normalization: 'l2' };
/** Weights that are tried on the validation pictures, one student each. */
const tried = { interpret: [0.5, 2, 5], kd: [0.1, 0.3, 1], attention: [1, 10, 50] };
const methods = { 'grad-cam++': 'Grad-CAM++', 'grad-cam': 'Grad-CAM' };

const say = (line) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
const nameOf = (teacher) => basename(teacher).replace(/(_cifar10)?\.onnx$/, '');

/** One run, or what it came to before. */
async function run(teacher, what, options) {
  const out = join(flags.out, nameOf(teacher), what);
  let told = 0;
  const results = await distill({
    student: 'resnet-8',
    width: 0.5,
    data: join(flags.data, 'train'),
    test: join(flags.data, 'test'),
    limit,
    epochs,
    workers,
    teacher,
    cache: join(flags.out, 'cache'),
    out,
    resume: true,
    ...options,
    onProgress: ({ stage, done, total, note }) => {
      if (performance.now() - told < 30_000) return;
      told = performance.now();
      say(`${nameOf(teacher)} ${what}: ${stage} ${Math.floor(done)}/${total}, ${note}`);
    },
  });
  say(`${nameOf(teacher)} ${what}: done`);
  return results;
}

/** The weight of a term that leaves the fewest errors on the validation pictures. */
async function chosen(teacher, term, method) {
  const arms = Object.fromEntries(tried[term].map((weight) => [String(weight), { ...none, [term]: weight }]));
  const { arms: results } = await run(teacher, `choose-${term}-${method}`, { method, arms, seeds: 1 });
  const errors = results.map(({ name, seeds: [{ validationError }] }) => [Number(name), validationError]);
  const [best] = errors.toSorted((a, b) => a[1] - b[1]);
  return { weight: best[0], errors };
}

async function study(teacher) {
  const [kd, attention] = [await chosen(teacher, 'kd', 'grad-cam++'), await chosen(teacher, 'attention', 'grad-cam++')];
  const rows = [];
  const choices = { kd, attention };
  for (const [method, title] of Object.entries(methods)) {
    const interpret = await chosen(teacher, 'interpret', method);
    choices[title] = interpret;
    const arms = {
      ...(method === 'grad-cam++' ? { CE: none } : {}),
      [`CE + I, ${title}`]: { ...none, interpret: interpret.weight },
      ...(method === 'grad-cam++'
        ? {
            'CE + I of another picture (placebo)': { ...none, interpret: interpret.weight, placebo: true },
            'CE + attention transfer': { ...none, attention: attention.weight },
            'CE + KD': { ...none, kd: kd.weight },
          }
        : {}),
      [`CE + KD + I, ${title}`]: { ...none, kd: kd.weight, interpret: interpret.weight },
    };
    const results = await run(teacher, `students-${method}`, { method, arms, seeds });
    rows.push(...results.arms.map(({ name, seeds: own }) => ({ name, errors: own.map(({ error }) => error), own, results })));
  }
  return { teacher: nameOf(teacher), error: rows[0].results.teacher.error, rows, choices, trainedOn: rows[0].results.trainedOn, pictures: rows[0].results.measured.pictures };
}

// Student's t, 97.5 %, by degrees of freedom from 1.
const quantiles = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
function interval(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, half: Number.NaN };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, half: quantiles[Math.min(values.length - 1, quantiles.length) - 1] * Math.sqrt(variance / values.length) };
}
const points = (value) => (100 * value).toFixed(1);
const signed = (value) => `${value < 0 ? '−' : '+'}${points(Math.abs(value))}`;

function table({ rows }) {
  const of = (name) => rows.find((row) => row.name === name).errors;
  const lines = rows.map(({ name, errors }) => {
    const { mean, half } = interval(errors);
    const against = name.startsWith('CE + KD + I') ? 'CE + KD' : 'CE';
    if (name === 'CE') return `| ${name} | ${points(mean)} ± ${points(half)} | | |`;
    const each = errors.map((error, i) => error - of(against)[i]);
    const own = interval(each);
    const below = each.filter((value) => value < 0).length;
    return `| ${name} | ${points(mean)} ± ${points(half)} | ${signed(own.mean)} [${signed(own.mean - own.half)}, ${signed(own.mean + own.half)}] against ${against} | ${below} of ${each.length} |`;
  });
  return ['| loss | error, % | difference, points | seeds below |', '|---|---|---|---|', ...lines].join('\n');
}

/** What the table says, in words that follow from its numbers. */
function verdicts({ rows }) {
  const of = (name) => rows.find((row) => row.name === name)?.errors;
  const compare = (name, against) => {
    const each = of(name).map((error, i) => error - of(against)[i]);
    const { mean, half } = interval(each);
    const below = each.filter((value) => value < 0).length;
    const certain = Math.abs(mean) > half ? (mean < 0 ? 'below' : 'above') : 'not told apart from';
    return `* ${name} is ${certain} ${against}: ${signed(mean)} points, below in ${below} of ${each.length} seeds.`;
  };
  return [
    ...Object.values(methods).map((title) => compare(`CE + I, ${title}`, 'CE')),
    compare('CE + I of another picture (placebo)', 'CE'),
    compare('CE + I, Grad-CAM++', 'CE + I of another picture (placebo)'),
    compare('CE + attention transfer', 'CE'),
    compare('CE + KD', 'CE'),
    ...Object.values(methods).map((title) => compare(`CE + KD + I, ${title}`, 'CE + KD')),
    compare('CE + I, Grad-CAM++', 'CE + I, Grad-CAM'),
  ].join('\n');
}

function choicesText({ choices }) {
  return Object.entries(choices)
    .map(([term, { weight, errors }]) => `${term} ${weight} (of ${errors.map(([value, error]) => `${value}: ${points(error)} %`).join(', ')})`)
    .join('; ');
}

await mkdir(flags.out, { recursive: true });
const began = process.hrtime.bigint();
const timeFile = join(flags.out, 'seconds.json');
const before = Number(await readFile(timeFile, 'utf8').catch(() => '0'));
const studies = [];
const noteTime = () => writeFile(timeFile, String(before + Number((process.hrtime.bigint() - began) / 1_000_000_000n)));
const clock = setInterval(() => void noteTime(), 10_000);
for (const teacher of flags.teacher) {
  studies.push(await study(teacher));
  await noteTime();
  await writeFile('docs/distillation.md', page(studies, Math.round(Number(await readFile(timeFile, 'utf8')) / 60)));
  say('docs/distillation.md is written');
}
clearInterval(clock);

function page([{ trainedOn, pictures }], minutes) {
  return `# Does a student learn better that looks where its teacher looks?

The claim of section 5 of the Grad-CAM++ paper (arXiv 1710.11063), tried with \`gradcampp distill\` on CIFAR-10. Made by
\`npm run distillation\`; the text between the tables follows from their numbers.

Student: ResNet-8 of 8, 16 and 32 channels, ${trainedOn} training pictures, ${epochs} epochs, batch 64, Nesterov's momentum 0.9, learning
rate 0.1 falling along half a cosine, weight decay 5e-4, shifts by up to 4 pixels and mirroring, 4 views of each picture. Error on all
${pictures} test pictures, mean of ${seeds} seeds ± 95 % (Student's t); differences are taken seed by seed: the same initial weights, order and
views. I is the explanation loss: maps of the true class at the last activations of student and teacher, of length 1 each. KD is
Hinton's at temperature 4. The placebo has the teacher's map of another picture. Weights were chosen with one student each on a tenth of the
training pictures, never on test pictures.

${studies
  .map(
    (own) => `## Teacher ${own.teacher}, error ${points(own.error)} %

${table(own)}

${verdicts(own)}

Weights chosen: ${choicesText(own)}.`,
  )
  .join('\n\n')}

## The paper's figures

WRN-40-2 (5.8 % error) teaches WRN-16-2, all 50,000 pictures, trained to the end; raw maps, α = 0.01, T = 4:

| loss | error, % |
|---|---|
| CE | 6.78 |
| CE + I, Grad-CAM++ | 6.74 |
| CE + I, Grad-CAM | 6.86 |
| CE + KD | 5.68 |
| CE + KD + I, Grad-CAM++ | 5.56 |
| CE + KD + I, Grad-CAM | 5.8 |

What differs here: the student has a thirty-fifth of the weights, sees a fifth of the pictures, and for ${epochs} epochs, so that errors are many
times as high and differences larger; pictures are JPEG files; maps are normalised. The paper gives one number a row, without seeds.

Time: about ${minutes} minutes in all on ${cpus().length} cores of "${cpus()[0].model.trim()}", beside other work.
`;
}
