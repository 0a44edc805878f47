import { readFile, writeFile } from 'node:fs/promises';
import { Captioner } from '../../src/caption/captioner.js';
import { estimateMean, type Estimate } from '../../src/evaluate/statistics.js';
import { graphOf } from '../../src/graph/from-model.js';
import { readModel } from '../../src/onnx/read.js';
import {
  compared,
  type Compared,
  explainScene,
  keeps,
  otherNoun,
  type SceneExplained,
  scenesFrom,
} from './caption-energy.js';
import { captionedActivation } from './captioner.js';
import { heldOut } from './recipe.js';
import { type WordClass, wordClasses } from './sentence.js';
import { Speaker } from './speaker.js';

// Where the maps of words lie: a section of docs/evaluation.md, kept in scripts/evaluation-captions.md; `npm run docs:captions`.
const pictures = Number(process.argv[2] ?? 300);
/** Behind what the tests and `npm run assets` look at. */
const first = heldOut + 300_000;
const folder = 'assets/captioner';
const file = (part: string) => `${folder}/${part}_model.onnx`;

const captioner = await Captioner.open({
  encoder: file('encoder'),
  decoder: file('decoder'),
  backend: 'reference',
  threads: 1,
  layer: captionedActivation,
});
const speaker = await Speaker.open({
  encoder: graphOf(await readModel(file('encoder'))),
  decoder: graphOf(await readModel(file('decoder'))),
});
const found: SceneExplained[] = [];
for (const scene of scenesFrom(first, pictures)) {
  found.push(await explainScene(captioner, speaker, scene));
  if (found.length % 50 === 0) process.stderr.write(`${found.length} scenes\n`);
}
await Promise.all([captioner.close(), speaker.close()]);

const section = document();
await writeFile('scripts/evaluation-captions.md', section);
const title = '## Where the maps of words lie';
const page = 'docs/evaluation.md';
const sections = (await readFile(page, 'utf8')).trimEnd().split(/\n(?=## )/);
const others = sections.filter((text) => !text.startsWith(title));
await writeFile(page, `${others.join('\n').trimEnd()}\n\n${title}\n\n${section}`);

function document(): string {
  const classes = Object.keys(wordClasses) as WordClass[];
  const where = [
    'a uniform map',
    ...compared.filter((key) => key !== otherNoun),
    'another noun’s Grad-CAM++',
  ].map((name, row) => {
    const cells = classes.map((own) =>
      row === 0 ? percent(({ area }) => area[own]) : percent(({ energy }) => energy[own][compared[row - 1]]),
    );
    return [row > 0 && row < compared.length && name !== 'attention' ? `\`${name}\`` : name, ...cells];
  });
  const kept = compared.map((key) => [
    key === otherNoun ? 'another noun’s Grad-CAM++' : key === 'attention' ? key : `\`${key}\``,
    ...keeps.map((keep) => nats(({ drop }) => drop[keep][key])),
  ]);
  const versus = (against: Compared) => [
    `\`grad-cam++\` less ${against === 'grad-cam' ? '`grad-cam`' : against === otherNoun ? 'another noun’s' : against}`,
    percent(({ energy }) => energy.kind['grad-cam++'] - energy.kind[against]),
    percent(({ energy }) => energy.colour['grad-cam++'] - energy.colour[against]),
    ...keeps.map((keep) => nats(({ drop }) => drop[keep]['grad-cam++'] - drop[keep][against])),
  ];
  return `<!-- Written by scripts/assets/caption-measure.ts (npm run docs:captions); do not edit. -->

The captioner of \`assets/captioner\` says what is in drawn scenes; here it is given the scene's own sentence (teacher forcing), on
${pictures} scenes of two or three groups of things that it was not trained on, and each word's map is held against the boxes of the things
that the word is about: of its group for a count, a colour and a noun, and all that is outside the boxes of things for the ground. Layer:
the encoder's last activation, \`${captionedActivation}\`, 12 × 12. Share of the map's sum, in %, mean over the words of a scene, with 95 % intervals
over the scenes:

${table(['', ...classes.map((name) => (name === 'kind' ? 'noun' : name))], where)}

Log-probability of the noun in the whole picture less that in what its map keeps, in nats (lower is better): the picture times the map
(E = L ⊙ I, the paper's explanation map), and the fifth of the picture where the map is brightest; the rest is 0, the mean colour.

${table(['', 'picture times map', 'brightest fifth'], kept)}

The differences, scene by scene; an interval without 0 is more than chance:

${table(['', 'energy, noun', 'energy, colour', 'drop, picture times map', 'drop, brightest fifth'], [versus('grad-cam'), versus('attention'), versus(otherNoun)])}

The map of a noun has on its things more than twice what a uniform map has, more than attention, and more than the map of another noun of the
sentence. Grad-CAM has more still: Grad-CAM++ lights all things, the right ones most. Of what a noun needs Grad-CAM++ keeps most: with the
fifth where its map is brightest the noun loses least, less than with the fifth of Grad-CAM, of attention or of another noun. Times the map,
noise loses least, since it only dims the picture evenly; the fifth, as large for every map, asks the fairer question. What attention
marks where a noun is said is not what the noun needs: with its fifth alone nearly as much is lost as with that of noise. Of colours and counts
attention and LayerCAM, which weigh every place by itself, lie on the things, and Grad-CAM++'s map of a colour is no more on its own things than
that of another noun. On the ground lie attention and LayerCAM; Grad-CAM++ and Grad-CAM, whose weights are of channels, have less there
than a uniform map.
`;
}

function percent(value: (one: SceneExplained) => number): string {
  return shown(estimateMean(found.map(value), { seed: 1 }), (share) => (100 * share).toFixed(1));
}

function nats(value: (one: SceneExplained) => number): string {
  return shown(estimateMean(found.map(value), { seed: 1 }), (number) => number.toFixed(2));
}

function shown({ mean, low, high }: Estimate, text: (value: number) => string): string {
  return `${text(mean)}<br><sub>${text(low)} – ${text(high)}</sub>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}
