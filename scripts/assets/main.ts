import { mkdir, stat, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Explainer } from '../../src/batch/explainer.js';
import { modelFile } from '../../src/graph/model-file.js';
import { encodePng } from '../../src/image/encode.js';
import { drawPicture } from './draw.js';
import { asPixels, evaluate, type Figures, methods, thresholds } from './evaluate.js';
import { untrained } from './network.js';
import { demonstrations, heldOut, pictureSize, recipe, sidecar } from './recipe.js';
import { drawExamples, train } from './train.js';

// Makes what is in assets/ anew: `npm run assets` trains, then draws and measures;
// `npm run assets -- --keep-model` leaves the network as it is.
const { values: flags } = parseArgs({
  options: { 'keep-model': { type: 'boolean' }, 'held-out': { type: 'string', default: '500' } },
});
const model = 'assets/shapes.onnx';
const say = (line: string) => process.stderr.write(`${line}\n`);

await mkdir('assets/pictures', { recursive: true });
if (!flags['keep-model']) await trainModel();
await writeFile('assets/shapes.json', `${JSON.stringify(sidecar, null, 2)}\n`);
for (const { file, seed } of demonstrations)
  await writeFile(`assets/pictures/${file}`, encodePng(asPixels(drawPicture(seed, pictureSize))));
await stateFigures(Number(flags['held-out']));

async function trainModel(): Promise<void> {
  const start = Date.now();
  const seconds = () => `${Math.round((Date.now() - start) / 1000)} s`;
  const examples = drawExamples(recipe.firstPicture, recipe.pictures);
  say(`${seconds()}: drew ${recipe.pictures} pictures`);
  const trained = await train(untrained(recipe.seed), examples, recipe, (line) =>
    say(`${seconds()}: ${line}`),
  );
  const metadata = new Map([
    [
      'description',
      'Which of eight kinds of things are in a drawn picture; the embedded example of gradcampp',
    ],
    [
      'made by',
      'npm run assets (scripts/assets): drawn pictures, gradients by src/autodiff run by ONNX Runtime',
    ],
    ['recipe', JSON.stringify(recipe)],
    ['license', 'Apache-2.0'],
  ]);
  await modelFile({ ...trained, metadata }).save(model);
}

/** Accuracy and instance coverage on pictures that were never trained on, drawn at the size of the demonstrations. */
async function stateFigures(count: number): Promise<void> {
  const explainer = await Explainer.open(model, { backend: 'reference' });
  const figures = await evaluate(explainer, heldOut, count, pictureSize);
  await explainer.close();
  say(`${model}: ${((await stat(model)).size / 1000).toFixed(0)} kB, layer ${explainer.layers.join()}`);
  for (const line of describe(figures)) say(line);
}

function describe({ pictures, labels, pictureExact, top1, groups, instances, maps }: Figures): string[] {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const lines = [
    `${pictures} held-out pictures: best class is there ${percent(top1)}, labels right ${percent(labels)}, all eight right ${percent(pictureExact)}`,
    `${groups} times a class has several instances in a picture, ${instances} in all; an instance is lit where the map reaches a part of its maximum in its box`,
  ];
  for (const method of methods) {
    const { instancesLit, allLit, inside, discriminates } = maps[method];
    const reached = thresholds.map(
      (threshold, i) =>
        `at ${threshold} instances lit ${percent(instancesLit[i])}, every one ${percent(allLit[i])}`,
    );
    lines.push(
      `${method}: ${reached.join('; ')}; map inside own boxes ${percent(inside)}; brighter in own boxes than in others ${percent(discriminates)}`,
    );
  }
  return lines;
}
