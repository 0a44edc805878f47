// What the studies of docs/distillation.md share: losses, the choice of weights, tables, and words that follow from numbers.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { distill } from '../../dist/train/index.js';
import { meanInterval } from '../../dist/train/run/student-t.js';

const none = { labels: 1, interpret: 0, kd: 0, attention: 0, temperature: 4, normalization: 'l2' };
const methods = { 'grad-cam++': 'Grad-CAM++', 'grad-cam': 'Grad-CAM' };
const placebo = 'CE + I of another picture (placebo)';

export const say = (line) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);

/** Keeps what a long computation came to in a file, and does not do it again. */
export async function once(path, compute) {
  const known = await readFile(path, 'utf8').catch(() => undefined);
  if (known !== undefined) return JSON.parse(known);
  const result = await compute();
  await writeFile(path, `${JSON.stringify(result, undefined, 1)}\n`);
  return result;
}

/** Says at most every half minute how far a run is. */
export function teller(name) {
  let told = 0;
  return ({ stage, done, total, note }) => {
    if (performance.now() - told < 30_000) return;
    told = performance.now();
    say(`${name}: ${stage} ${Math.floor(done)}/${total}, ${note}`);
  };
}

/**
 * Students of one teacher with every loss.
 *
 * @param name what messages and the folder of the runs are called
 * @param options of all runs: teacher, student, data, test, epochs, …
 * @param tried weights that are tried on the validation pictures, one student each
 * @param measure what else is measured of a student's file; a number
 */
export async function study({ name, out, seeds, tried, options, measure }) {
  const folder = join(out, name);
  await mkdir(folder, { recursive: true });
  const run = async (what, own) => {
    const onProgress = teller(`${name} ${what}`);
    const results = await distill({ ...options, cache: join(out, 'cache'), out: join(folder, what), resume: true, ...own, onProgress });
    say(`${name} ${what}: done`);
    return results;
  };
  /** The weight of a term that does best on the validation pictures. */
  const chosen = async (term, method) => {
    const arms = Object.fromEntries(tried[term].map((weight) => [String(weight), { ...none, [term]: weight }]));
    const { arms: results, metric } = await run(`choose-${term}-${method}`, { method, arms, seeds: 1 });
    const values = results.map(({ name: weight, seeds: [{ validation }] }) => [Number(weight), validation]);
    const sign = metric === 'error' ? 1 : -1;
    const [best] = values.toSorted((a, b) => sign * (a[1] - b[1]));
    return { weight: best[0], values };
  };
  const choices = { KD: await chosen('kd', 'grad-cam++'), 'attention transfer': await chosen('attention', 'grad-cam++') };
  const [kd, attention] = [choices.KD.weight, choices['attention transfer'].weight];
  const rows = [];
  let last;
  for (const [method, title] of Object.entries(methods)) {
    const own = await chosen('interpret', method);
    choices[`I, ${title}`] = own;
    const interpret = own.weight;
    const isFirst = method === 'grad-cam++';
    const arms = {
      ...(isFirst ? { CE: none } : {}),
      [`CE + I, ${title}`]: { ...none, interpret },
      ...(isFirst
        ? {
            [placebo]: { ...none, interpret, placebo: true },
            'CE + attention transfer': { ...none, attention },
            'CE + KD': { ...none, kd },
          }
        : {}),
      [`CE + KD + I, ${title}`]: { ...none, kd, interpret },
    };
    last = await run(`students-${method}`, { method, arms, seeds });
    for (const arm of last.arms) {
      const row = { name: arm.name, values: arm.seeds.map(({ value }) => value) };
      const path = join(folder, `students-${method}`, arm.name.replaceAll(/[^\w+-]+/g, '-'));
      if (measure) {
        row.measured = [];
        for (const { seed } of arm.seeds) row.measured.push(await measure(join(path, `seed-${seed}`, 'student.onnx')));
      }
      rows.push(row);
    }
  }
  const { metric, teacher, trainedOn, measured } = last;
  return { metric, teacher: teacher.value, rows, choices, trainedOn, pictures: measured.pictures };
}

/** How a metric is written: errors in per cent, mAP from 0 to 1 as in the paper. */
const shown = {
  error: { head: 'error, %', unit: 'points', text: (value) => (100 * value).toFixed(1), isBetter: (value) => value < 0, better: 'below' },
  mAP: { head: 'mAP', unit: '', text: (value) => value.toFixed(3), isBetter: (value) => value > 0, better: 'above' },
};
export const written = (metric, value) => shown[metric].text(value);

function summary(values, text) {
  const { mean, low } = meanInterval(values);
  return `${text(mean)} ± ${text(mean - low)}`;
}
const signed = (value, text) => `${value < 0 ? '−' : '+'}${text(Math.abs(value))}`;
const againstOf = (name) => (name.startsWith('CE + KD + I') ? 'CE + KD' : 'CE');

/** Two rows, seed by seed. */
function compared({ metric, rows }, name, against) {
  const { isBetter } = shown[metric];
  const of = (wanted) => rows.find((row) => row.name === wanted).values;
  const each = of(name).map((value, i) => value - of(against)[i]);
  return { ...meanInterval(each), count: each.length, better: each.filter(isBetter).length };
}

/** One line a loss. `measured` heads the column of what else was measured. */
export function table(own, measured) {
  const { metric, rows } = own;
  const { head, unit, text, better } = shown[metric];
  const lines = rows.map(({ name, values, measured: other }) => {
    const more = measured ? ` ${summary(other, (value) => (100 * value).toFixed(1))} |` : '';
    if (name === 'CE') return `| ${name} | ${summary(values, text)} | | |${more}`;
    const { mean, low, high, better: count, count: all } = compared(own, name, againstOf(name));
    const difference = `${signed(mean, text)} [${signed(low, text)}, ${signed(high, text)}] against ${againstOf(name)}`;
    return `| ${name} | ${summary(values, text)} | ${difference} | ${count} of ${all} |${more}`;
  });
  return [
    `| loss | ${head} | difference${unit && `, ${unit}`} | seeds ${better} |${measured ? ` ${measured} |` : ''}`,
    `|---|---|---|---|${measured ? '---|' : ''}`,
    ...lines,
  ].join('\n');
}

/** What the table says, in words that follow from its numbers. */
export function verdicts(own) {
  const { text, unit, better } = shown[own.metric];
  const titles = Object.values(methods);
  const pairs = [
    ...titles.map((title) => [`CE + I, ${title}`, 'CE']),
    [placebo, 'CE'],
    ['CE + I, Grad-CAM++', placebo],
    ['CE + attention transfer', 'CE'],
    ['CE + KD', 'CE'],
    ...titles.map((title) => [`CE + KD + I, ${title}`, 'CE + KD']),
    ['CE + I, Grad-CAM++', 'CE + I, Grad-CAM'],
  ];
  const isThere = (name) => own.rows.some((row) => row.name === name);
  return pairs
    .filter((pair) => pair.every(isThere))
    .map(([name, against]) => {
      const { mean, low, high, better: count, count: all } = compared(own, name, against);
      const where = high < 0 ? 'below' : low > 0 ? 'above' : 'not told apart from';
      return `* ${name} is ${where} ${against}: ${signed(mean, text)}${unit && ` ${unit}`} [${signed(low, text)}, ${signed(high, text)}], ${better} in ${count} of ${all} seeds.`;
    })
    .join('\n');
}

/** What becomes of the paper's claims, and of what the placebo is for. */
export function claims(own) {
  const isThere = (name) => own.rows.some((row) => row.name === name);
  const sign = shown[own.metric].isBetter(1) ? 1 : -1;
  const state = (name, against) => {
    const { low, high, better, count } = compared(own, name, against);
    const [least, most] = sign > 0 ? [low, high] : [-high, -low];
    const word = least > 0 ? 'holds' : most < 0 ? 'is contradicted' : 'is not shown: 0 is within the interval';
    return `${word} (${better} of ${count} seeds)`;
  };
  const each = (pairOf) =>
    Object.values(methods)
      .map((title) => [title, ...pairOf(title)])
      .filter(([, name, against]) => isThere(name) && isThere(against))
      .map(([title, name, against]) => `with ${title} it ${state(name, against)}`)
      .join('; ');
  const lines = [
    `* *Maps help beside labels* (CE + I better than CE): ${each((title) => [`CE + I, ${title}`, 'CE'])}.`,
    `* *Maps add to KD* (CE + KD + I better than CE + KD): ${each((title) => [`CE + KD + I, ${title}`, 'CE + KD'])}.`,
  ];
  if (isThere('CE + I, Grad-CAM'))
    lines.push(`* *Grad-CAM++ teaches better than Grad-CAM*: it ${state('CE + I, Grad-CAM++', 'CE + I, Grad-CAM')}.`);
  if (isThere('CE + KD'))
    lines.push(`* *Maps alone teach more than KD* (VOC 2007 in the paper): it ${state('CE + I, Grad-CAM++', 'CE + KD')}.`);
  const control = compared(own, placebo, 'CE');
  const [least, most] = sign > 0 ? [control.low, control.high] : [-control.high, -control.low];
  const count = `in ${control.better} of ${control.count} seeds`;
  const what =
    least > 0
      ? `does better than CE, too (${count}): part of what the term brings is not what the map shows`
      : most < 0
        ? `does worse than CE (better ${count})`
        : `is not told apart from CE (better ${count})`;
  lines.push(
    `* The placebo ${what}. *The right map teaches better than another picture's*: it ${state('CE + I, Grad-CAM++', placebo)}.`,
  );
  return lines.join('\n');
}

/** Losses that a study was ended before, in a sentence; '' where it has all. */
export function missing({ rows }) {
  const wanted = Object.values(methods).flatMap((title) => [`CE + I, ${title}`, `CE + KD + I, ${title}`]);
  const absent = wanted.filter((name) => !rows.some((row) => row.name === name));
  return absent.length > 0 ? `\n\nNot trained when this page was made: ${absent.join('; ')}.` : '';
}

/** Which weights were tried and taken. */
export function choicesText({ metric, choices }) {
  return Object.entries(choices)
    .map(([term, { weight, values }]) => {
      const all = values.toSorted((a, b) => a[0] - b[0]);
      const edge = weight === all[0][0] ? ', the least tried' : weight === all.at(-1)[0] ? ', the most tried' : '';
      return `${term} ${weight}${edge} (${all.map(([value, result]) => `${value}: ${shown[metric].text(result)}`).join(', ')})`;
    })
    .join('; ');
}
