import { mkdir, stat, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Explainer } from '../../src/batch/explainer.js';
import { graphOf } from '../../src/graph/from-model.js';
import type { Graph } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import { encodePng } from '../../src/image/encode.js';
import { readModel } from '../../src/onnx/read.js';
import { trainDetector, untrainedDetector } from './detector.js';
import { drawPicture, type Picture } from './draw.js';
import { asPixels, evaluate, type Figures, methods, thresholds } from './evaluate.js';
import type { Recipe } from './fit.js';
import { startingFrom, untrained } from './network.js';
import {
  demonstrations,
  detectorRecipe,
  heldOut,
  pictureSize,
  recipe,
  segmenterRecipe,
  segmenterSidecar,
  sidecar,
} from './recipe.js';
import { trainSegmenter, untrainedSegmenter } from './segmenter.js';
import { drawExamples, train } from './train.js';

// Makes what is in assets/ anew: `npm run assets` trains, then draws and measures;
// `npm run assets -- --train detector` trains only that one (or `none`).
const { values: flags } = parseArgs({
  options: { train: { type: 'string', multiple: true }, 'held-out': { type: 'string', default: '500' } },
});
const model = 'assets/shapes.onnx';
const say = (line: string) => process.stderr.write(`${line}\n`);

/** A network of assets/, in the order in which they are trained: the others start from the classifier's trunk. */
interface Asset {
  readonly name: string;
  readonly description: string;
  readonly recipe: Recipe;
  readonly sidecar: unknown;
  readonly train: (examples: readonly Picture[], report: (line: string) => void) => Promise<Graph>;
}

const withTrunk = async (graph: Graph) => startingFrom(graphOf(await readModel(model)), graph);
const assets: readonly Asset[] = [
  {
    name: 'shapes',
    description: 'Which of eight kinds of things are in a drawn picture; the embedded example of gradcampp',
    recipe,
    sidecar,
    train: (examples, report) => train(untrained(recipe.seed), examples, recipe, report),
  },
  {
    name: 'segmenter',
    description: 'Which of eight kinds of things is at each pixel of a drawn picture',
    recipe: segmenterRecipe,
    sidecar: segmenterSidecar,
    train: async (examples, report) =>
      trainSegmenter(
        await withTrunk(untrainedSegmenter(segmenterRecipe.seed)),
        examples,
        segmenterRecipe,
        report,
      ),
  },
  {
    name: 'detector',
    description: 'Where things of eight kinds are in a drawn picture',
    recipe: detectorRecipe,
    sidecar,
    train: async (examples, report) =>
      trainDetector(
        await withTrunk(untrainedDetector(detectorRecipe.seed)),
        examples,
        detectorRecipe,
        report,
      ),
  },
];

await mkdir('assets/pictures', { recursive: true });
for (const asset of assets) {
  if (flags.train?.includes(asset.name) ?? true) await trainModel(asset);
  await writeFile(`assets/${asset.name}.json`, `${JSON.stringify(asset.sidecar, null, 2)}\n`);
}
for (const { file, seed } of demonstrations)
  await writeFile(`assets/pictures/${file}`, encodePng(asPixels(drawPicture(seed, pictureSize))));
await stateFigures(Number(flags['held-out']));

async function trainModel({ name, description, recipe: own, train: learn }: Asset): Promise<void> {
  const start = Date.now();
  const report = (line: string) => say(`${name}, ${Math.round((Date.now() - start) / 1000)} s: ${line}`);
  const examples = drawExamples(own);
  report(`drew ${own.pictures} pictures`);
  const metadata = new Map([
    ['description', description],
    [
      'made by',
      'npm run assets (scripts/assets): drawn pictures, gradients by src/autodiff run by ONNX Runtime',
    ],
    ['recipe', JSON.stringify(own)],
    ['license', 'Apache-2.0'],
  ]);
  await modelFile({ ...(await learn(examples, report)), metadata }).save(`assets/${name}.onnx`);
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
