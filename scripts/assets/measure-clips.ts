import { readFile, writeFile } from 'node:fs/promises';
import type { FaithfulnessRecord } from '../../src/evaluate/faithfulness/masked-picture.js';
import { duelsOf } from '../../src/evaluate/report/estimates.js';
import {
  faithfulnessOptions,
  faithfulnessSettings,
} from '../../src/evaluate/faithfulness/faithfulness-options.js';
import { estimateMean, mean } from '../../src/evaluate/statistics.js';
import { seeded, variantsOfMethods } from '../../src/evaluate/variants.js';
import { readOptions } from '../../src/options.js';
import { clipSize } from './action.js';
import { clipFaithfulness, type ClipFigures, clipFigures, openDrawn } from './clip-figures.js';
import { actions, frameCount } from './clips.js';
import { heldOut } from './recipe.js';

// Where and when the maps of clips lie: a section of docs/evaluation.md, kept in scripts/evaluation-clips.md; `npm run docs:clips`.
const methods = ['grad-cam++', 'grad-cam', 'random'];
const count = 540;
/** Behind what the tests and `npm run assets` look at; a multiple of the number of actions. */
const first = heldOut + 400_000;
const say = (line: string) => process.stderr.write(`${line}\n`);

const variants = seeded(variantsOfMethods(methods), 1);
const subject = await openDrawn('assets/action.onnx');
const settings = faithfulnessSettings(
  { variants, seed: 1 },
  readOptions('faithfulness', faithfulnessOptions, {
    metrics: ['average-drop', 'increase', 'frame-deletion'],
    batch: 13,
  }),
  subject,
);
const figures: ClipFigures[] = [];
const records: FaithfulnessRecord[] = [];
for (let seed = first; seed < first + count; seed++) {
  figures.push(await clipFigures(subject, seed, variants));
  records.push(await clipFaithfulness(subject, seed, settings));
  if ((seed - first) % 100 === 99) say(`${seed - first + 1} clips`);
}
await subject.close();
const section = document();
await writeFile('scripts/evaluation-clips.md', section);
const title = '## Where and when maps of clips lie';
const page = 'docs/evaluation.md';
const sections = (await readFile(page, 'utf8')).trimEnd().split(/\n(?=## )/);
const others = sections.filter((text) => !text.startsWith(title));
await writeFile(page, `${others.join('\n').trimEnd()}\n\n${title}\n\n${section}`);

function document(): string {
  const short = figures.filter(({ isShort }) => isShort);
  const right = (found: readonly ClipFigures[]) =>
    cell(
      found.map(({ action, found: best }) => Number(action === best)),
      100,
      1,
    );
  const accuracy = actions.map((action) => {
    const own = figures.filter((one) => one.action === action);
    const wrong = own.filter(({ found }) => found !== action).map(({ found }) => found);
    const most = [...new Set(wrong)].sort((a, b) => times(wrong, b) - times(wrong, a))[0];
    const confused = most === undefined ? '–' : `${most} (${times(wrong, most)})`;
    return [action, String(own.length), right(own), confused];
  });
  const columns = [
    { of: figures, key: 'energyInSpace' },
    { of: short, key: 'energyInTime' },
    { of: short, key: 'energyInTube' },
    { of: figures, key: 'energyInTube' },
  ];
  const energies = [
    [
      'a uniform map',
      ...columns.map(({ of, key }) =>
        cell(
          of.map(({ tube }) => tube.chances[key]),
          100,
          1,
        ),
      ),
    ],
    ...methods.map((name, v) => [
      `\`${name}\``,
      ...columns.map(({ of, key }) =>
        cell(
          of.map(({ tube }) => tube.variants[v][key]),
          100,
          1,
        ),
      ),
    ]),
    ...['grad-cam++', 'grad-cam'].map((name) => [
      `\`${name}\` above the uniform map, of all`,
      ...columns.map(({ of, key }) => {
        const v = methods.indexOf(name);
        const above = of.map(({ tube }) => Number(tube.variants[v][key] > tube.chances[key]));
        return (100 * mean(above)).toFixed(1);
      }),
    ]),
  ];
  const values = (key: string, v: number) => records.map((record) => record.variants[v].values[key]);
  const faithful = methods.map((name, v) => [
    `\`${name}\``,
    cell(values('averageDrop', v), 100, 1),
    cell(values('increaseInConfidence', v), 100, 1),
    cell(values('frameDeletionAuc', v), 1, 3),
    cell(
      records.map(({ full, variants: own }) => full - own[v].values.frameDeletionAuc),
      1,
      3,
    ),
  ]);
  const drops = methods.map((_, v) => values('averageDrop', v));
  const duels = duelsOf(drops, variants, { tested: '', better: 'lower', seed: 1 }).filter(
    ({ a }) => a === methods[0],
  );
  const won = duels.map(({ b, wins, p }) => {
    return `against \`${b}\` it wins ${share(wins.a)}, ties ${share(wins.ties)}, loses ${share(wins.b)} (p ${p < 0.001 ? '< 0.001' : `= ${p.toFixed(3)}`})`;
  });
  return `<!-- Written by scripts/assets/measure-clips.ts (npm run docs:clips); do not edit. -->

The action network of \`assets/\` on ${count} drawn clips that it was not trained on, ${count / actions.length} of each action, ${frameCount} frames of
${clipSize} × ${clipSize}. 95 % intervals. Explained is the best class, right or wrong, at \`relu4\` (${frameCount} × 10 × 10).

Accuracy:

${table(['action', 'clips', 'right, %', 'most often taken for'], [...accuracy, ['all', String(count), right(figures), '']])}

Share of the map's sum, in %, as \`evaluate tubes\` has it: in space, in the boxes of what acts, of each frame of the action; in time, in the
frames of the action, in the ${short.length} clips in which it lasts a third of them; both at once, in these and in all.

${table(['', 'in space', 'in time, a third', 'in both, a third', 'in both, all clips'], energies)}

With the explanation map as a clip, as in the paper's Table 6 (C3D on Sports-1M: average drop 59.8 against Grad-CAM's 95.3, increase
6.7 against 0.8, win 94.1); frames deleted by the energy that the map has in them, most first, with the mean drop over the curve:

${table(['', 'average drop %, less is better', 'increase %', 'frame deletion AUC, less is better', 'mean drop, more is better'], faithful)}

Of the drops of \`grad-cam++\`: ${won.join('; ')}.

The maps lie on what acts, and while it does; the halo around it is a layer of 10 × 10, whose positions are as large as a quarter of a thing. The
paper's order of the drops is not seen here: Grad-CAM++ keeps a little less than Grad-CAM, and noise, which dims the whole clip, keeps more
than both, since what moves must be seen against what does not. A frame that becomes zero is itself a change in time: deleted in any order
frames take the confidence with them equally fast, and this metric does not tell these maps apart.
`;
}

function times<T>(list: readonly T[], one: T): number {
  return list.filter((other) => other === one).length;
}

function share(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

function cell(values: readonly number[], scale: number, digits: number): string {
  const { mean: middle, low, high } = estimateMean(values, { seed: 1 });
  const text = (value: number) => (scale * value).toFixed(digits);
  return `${text(middle)}<br><sub>${text(low)} – ${text(high)}</sub>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}
