// npm run right-reasons [-- --seeds 5 --out <dir>]: draws pictures whose ground gives the class away in training and not in
// testing, trains with and without a penalty on maps outside the shapes, and writes docs/right-reasons.md. It goes on where
// it was ended.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Explainer } from '../dist/index.js';
import { encodePng } from '../dist/image/encode.js';
import { random } from '../dist/random-stream.js';
import { draw, drawnClasses } from '../dist/train/demonstration/draw.js';
import { meanInterval } from '../dist/train/run/student-t.js';
import { train } from '../dist/train/index.js';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    epochs: { type: 'string', default: '15' },
    out: { type: 'string', default: join(tmpdir(), 'gradcampp-right-reasons') },
  },
});
const [seeds, epochs] = [Number(flags.seeds), Number(flags.epochs)];
const perClass = { train: 100, test: 50 };
const weights = [1, 5, 20];
const say = (line) => process.stderr.write(`${line}\n`);

/** A colour for each class, as far apart as they can be on a circle. */
const grounds = drawnClasses.map((_, c) => {
  const angle = (2 * Math.PI * c) / drawnClasses.length;
  return [0, 1, 2].map((k) => Math.round(120 + 80 * Math.cos(angle - (2 * Math.PI * k) / 3)));
});
for (const folder of ['train', 'test'])
  for (const [c, name] of drawnClasses.entries()) {
    for (const kind of ['pictures', 'masks']) await mkdir(join(flags.out, folder, kind, name), { recursive: true });
    for (let n = 0; n < perClass[folder]; n++) {
      const other = random('ground', name, n).below(drawnClasses.length);
      const { picture, mask } = draw(name, [`right reasons, ${folder}`, n], grounds[folder === 'train' ? c : other]);
      await writeFile(join(flags.out, folder, 'pictures', name, `${n}.png`), encodePng(picture));
      await writeFile(join(flags.out, folder, 'masks', name, `${n}.png`), encodePng(mask));
    }
  }

const labels = { reasons: 0 };
const arms = { 'cross entropy': labels, ...Object.fromEntries(weights.map((weight) => [`+ ${weight} · penalty`, { reasons: weight }])) };
let told = 0;
const out = join(flags.out, 'run');
const results = await train({
  student: 'resnet-8',
  width: 0.5,
  data: join(flags.out, 'train', 'pictures'),
  masks: join(flags.out, 'train', 'masks'),
  test: join(flags.out, 'test', 'pictures'),
  reasons: 1,
  arms,
  epochs,
  seeds,
  batch: 32,
  learningRate: 0.05,
  out,
  resume: true,
  onProgress: ({ done, total, note }) => {
    if (performance.now() - told < 20_000) return;
    told = performance.now();
    say(`${Math.floor(done)}/${total} ${note}`);
  },
});

/** Mean share of the maps' energy, ΣL inside / ΣL, of the pictures' own classes, that lies on the shapes. */
async function inside(model) {
  const explainer = await Explainer.open(model, { backend: 'reference' });
  let sum = 0;
  let count = 0;
  for (const [c, name] of drawnClasses.entries())
    for (let n = 0; n < perClass.test; n++) {
      const [{ targets }] = await explainer.explain([join(flags.out, 'test', 'pictures', name, `${n}.png`)], {
        targets: [c],
        method: 'grad-cam++',
      });
      const { data } = targets[0].map;
      const { mask } = draw(name, ['right reasons, test', n]);
      const total = data.reduce((all, value) => all + value, 0);
      if (total === 0) continue;
      sum += data.reduce((all, value, i) => all + (mask.data[3 * i] ? value : 0), 0) / total;
      count++;
    }
  await explainer.close();
  return sum / count;
}

const rows = [];
for (const { name, seeds: own } of results.arms) {
  const folder = name.replaceAll(/[^\w+-]+/g, '-');
  const shares = [];
  for (const { seed } of own) shares.push(await inside(join(out, folder, `seed-${seed}`, 'student.onnx')));
  rows.push({ name, errors: own.map(({ error }) => error), validation: own.map(({ validationError }) => validationError), shares });
  say(`${name}: ${shares.map((share) => share.toFixed(3)).join(', ')}`);
}
const area = await (async () => {
  let sum = 0;
  for (const name of drawnClasses)
    for (let n = 0; n < perClass.test; n++) {
      const { data } = draw(name, ['right reasons, test', n]).mask;
      sum += data.reduce((all, value) => all + value / 255, 0) / data.length;
    }
  return sum / (drawnClasses.length * perClass.test);
})();

const percent = (value) => `${(100 * value).toFixed(1)}`;
const shown = (values) => {
  const { mean, low } = meanInterval(values);
  return `${percent(mean)} ± ${percent(mean - low)}`;
};
const [base, ...others] = rows;
const against = (values, of) => {
  const { mean, low, high } = meanInterval(values.map((value, i) => value - of[i]));
  return `${percent(mean)} [${percent(low)}, ${percent(high)}]`.replaceAll('-', '−');
};
const { length } = JSON.parse(await readFile(join(out, 'results.json'), 'utf8')).classes;
await writeFile(
  'docs/right-reasons.md',
  `# Right for the right reasons

Does a network that is told where to look learn what is asked? ${length} classes of drawn shapes. In training the colour of the
ground is that of the class; in testing it is that of any class, so that a network which looks at the ground is lost. Masks of the shapes
are given in training alone. Made by \`npm run right-reasons\`.

ResNet-8 of 8, 16 and 32 channels, ${perClass.train} pictures a class, a tenth of them for validation, ${epochs} epochs, Nesterov's momentum,
learning rate 0.05; \`gradcampp train --masks DIR --right-reasons WEIGHT\`. Means of ${seeds} seeds ± 95 % (Student's t); differences are taken seed by
seed. *Inside*: share of the Grad-CAM++ map of each test picture's class that lies on its shape, which covers ${percent(area)} % of a picture.

| loss | validation error, % (the ground helps) | test error, % (it does not) | difference, points | inside, % | difference, points |
|---|---|---|---|---|---|
| ${base.name} | ${shown(base.validation)} | ${shown(base.errors)} | | ${shown(base.shares)} | |
${others
  .map((row) => `| ${row.name} | ${shown(row.validation)} | ${shown(row.errors)} | ${against(row.errors, base.errors)} | ${shown(row.shares)} | ${against(row.shares, base.shares)} |`)
  .join('\n')}

By chance the test error is ${percent(1 - 1 / length)} %. The penalty is the share of the squared map outside the mask (Ross et al., arXiv
1703.03717, penalise the gradient by the input; this is the map of the last layer, whose places are 4 × 4 pixels here).
`,
);
say('docs/right-reasons.md is written');
