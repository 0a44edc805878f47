// npm run right-reasons [-- --seeds 5 --out <dir>]: draws pictures in which something beside the shape gives the class away in
// training and not in testing, trains with and without a penalty on maps outside the shapes, and writes docs/right-reasons.md. It goes on where
// it was ended.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
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
if (!(seeds >= 3)) {
  process.stderr.write('Give at least three --seeds: fewer have no interval.\n');
  process.exit(1);
}
const perClass = { train: 100, test: 50 };
const say = (line) => process.stderr.write(`${line}\n`);

/** A colour for each class, as far apart as they can be on a circle. */
const colours = drawnClasses.map((_, c) => {
  const angle = (2 * Math.PI * c) / drawnClasses.length;
  return [0, 1, 2].map((k) => Math.round(120 + 80 * Math.cos(angle - (2 * Math.PI * k) / 3)));
});
/** What gives the class away, and the weights of the penalty that are tried. */
const sets = {
  ground: { weights: [1, 5, 20], paint: (name, parts, colour) => draw(name, parts, colour) },
  swatch: {
    weights: [1, 5],
    /** A square of the colour in one of the corners. */
    paint: (name, parts, colour) => {
      const drawn = draw(name, parts);
      const { data, width } = drawn.picture;
      const corner = random('corner', name, ...parts);
      const [left, top] = [corner.below(2), corner.below(2)].map((end) => end * (width - 5));
      for (let y = top; y < top + 5; y++) for (let x = left; x < left + 5; x++) data.set(colour, (y * width + x) * 3);
      return drawn;
    },
  },
};

/** Draws what is not there yet. */
async function drawAll(set) {
  const base = join(flags.out, set);
  for (const folder of ['train', 'test'])
    for (const [c, name] of drawnClasses.entries()) {
      if (existsSync(join(base, folder, 'masks', name, `${perClass[folder] - 1}.png`))) continue;
      for (const kind of ['pictures', 'masks']) await mkdir(join(base, folder, kind, name), { recursive: true });
      for (let n = 0; n < perClass[folder]; n++) {
        const other = random('ground', name, n).below(drawnClasses.length);
        const parts = [`right reasons, ${folder}`, n];
        const { picture, mask } = sets[set].paint(name, parts, colours[folder === 'train' ? c : other]);
        await writeFile(join(base, folder, 'pictures', name, `${n}.png`), encodePng(picture));
        await writeFile(join(base, folder, 'masks', name, `${n}.png`), encodePng(mask));
      }
    }
}

async function study(set) {
  await drawAll(set);
  const base = join(flags.out, set);
  const arms = {
    'cross entropy': { reasons: 0 },
    ...Object.fromEntries(sets[set].weights.map((weight) => [`+ ${weight} · penalty`, { reasons: weight }])),
  };
  let told = 0;
  const out = join(base, 'run');
  const results = await train({
    student: 'resnet-8',
    width: 0.5,
    data: join(base, 'train', 'pictures'),
    masks: join(base, 'train', 'masks'),
    test: join(base, 'test', 'pictures'),
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
      say(`${set} ${Math.floor(done)}/${total} ${note}`);
    },
  });
  const rows = [];
  for (const { name, seeds: own } of results.arms) {
    const folder = name.replaceAll(/[^\w+-]+/g, '-');
    const shares = [];
    for (const { seed } of own) shares.push(await inside(set, join(out, folder, `seed-${seed}`, 'student.onnx')));
    rows.push({
      name,
      errors: own.map(({ value }) => value),
      validation: own.map(({ validation }) => validation),
      shares,
    });
    say(`${set}, ${name}: ${shares.map((share) => share.toFixed(3)).join(', ')}`);
  }
  return rows;
}

/** Mean share of the maps' energy, ΣL inside / ΣL, of the pictures' own classes, that lies on the shapes. */
async function inside(set, model) {
  const explainer = await Explainer.open(model, { backend: 'reference' });
  let sum = 0;
  let count = 0;
  for (const [c, name] of drawnClasses.entries())
    for (let n = 0; n < perClass.test; n++) {
      const [{ targets }] = await explainer.explain([join(flags.out, set, 'test', 'pictures', name, `${n}.png`)], {
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
const against = (values, of) => {
  const { mean, low, high } = meanInterval(values.map((value, i) => value - of[i]));
  return `${percent(mean)} [${percent(low)}, ${percent(high)}]`.replaceAll('-', '−');
};
function table([base, ...others]) {
  const first = `| ${base.name} | ${shown(base.validation)} | ${shown(base.errors)} | | ${shown(base.shares)} | |`;
  const rest = others.map(
    (row) =>
      `| ${row.name} | ${shown(row.validation)} | ${shown(row.errors)} | ${against(row.errors, base.errors)} | ${shown(row.shares)} | ${against(row.shares, base.shares)} |`,
  );
  return [
    '| loss | validation error, % (it helps) | test error, % (it does not) | difference, points | inside, % | difference, points |',
    '|---|---|---|---|---|---|',
    first,
    ...rest,
  ].join('\n');
}

/** What the numbers say, in words. */
function verdict([base, ...others]) {
  const below = (values, of) => meanInterval(values.map((value, i) => value - of[i])).high < 0;
  const follows = others.filter(({ errors }) => below(errors, base.errors)).map(({ name }) => name);
  const moves = others.filter(({ shares }) => below(base.shares, shares)).map(({ name }) => name);
  return `Maps move onto the shapes with ${moves.join(', ') || 'none'}; test errors become fewer with ${follows.join(', ') || 'none'}.`;
}

const [ground, swatch] = [await study('ground'), await study('swatch')];
await writeFile(
  'docs/right-reasons.md',
  `# Right for the right reasons

Does a network that is told where to look learn what is asked? ${drawnClasses.length} classes of drawn shapes, and a colour that
gives the class away in training: in testing it is that of any class, so that a network which goes by the colour is lost. Masks of the shapes are
given in training alone. Made by \`npm run right-reasons\`.

ResNet-8 of 8, 16 and 32 channels, ${perClass.train} pictures a class, a tenth of them for validation, ${epochs} epochs, Nesterov's momentum,
learning rate 0.05; \`gradcampp train --masks DIR --right-reasons WEIGHT\`. Means of ${seeds} seeds ± 95 % (Student's t); differences are taken seed by
seed. *Inside*: share of the Grad-CAM++ map of each test picture's class that lies on its shape, which covers ${percent(area)} % of a picture.
By chance the test error is ${percent(1 - 1 / drawnClasses.length)} %.

## The colour is that of the ground

${table(ground)}

${verdict(ground)}

## The colour is that of a square in a corner

${table(swatch)}

${verdict(swatch)}

## What follows

The penalty moves maps; whether the answers follow is another question. Ground is seen beside every part of a shape, by filters whose
maps lie on the shape, so a map inside the mask does not show that the ground is not used: test on pictures in which it misleads, as
here, before you trust such a map. The square in the corner is found late in these few epochs (the validation error, where it helps, is
hardly below the test error), so what the penalty gives there is what masks know beside the labels: where the shape is. Too large
a weight is unsteady.

The penalty is the share of the squared map outside the mask; Ross et al. (arXiv
1703.03717), who had squares in corners, penalise the gradient by the input. Places of the last layer are 4 × 4 pixels here.
`,
);
say('docs/right-reasons.md is written');
