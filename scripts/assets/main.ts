import { mkdir, stat, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Explainer } from '../../src/batch/explainer.js';
import { graphOf } from '../../src/graph/from-model.js';
import type { Graph } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import { encodePng } from '../../src/image/encode.js';
import { readModel } from '../../src/onnx/read.js';
import { captionFigures } from './caption-figures.js';
import { captionerOf, trainCaptioner, untrainedCaptioner } from './captioner.js';
import { trainDetector, untrainedDetector } from './detector.js';
import { drawPicture } from './draw.js';
import { asPixels, evaluate, type Figures, methods, thresholds } from './evaluate.js';
import type { Recipe } from './fit.js';
import { startingFrom, untrained } from './network.js';
import {
  captionerRecipes,
  captionerSidecar,
  demonstratedScenes,
  demonstrations,
  detectorRecipe,
  heldOut,
  pictureSize,
  recipe,
  segmenterRecipe,
  segmenterSidecar,
  sidecar,
} from './recipe.js';
import { drawScene, drawScenes } from './scene.js';
import { trainSegmenter, untrainedSegmenter } from './segmenter.js';
import { generation, vocabulary } from './sentence.js';
import { Speaker } from './speaker.js';
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
  readonly recipe: Recipe | readonly Recipe[];
  /** What is written beside the networks, by file. */
  readonly sidecars: Readonly<Record<string, unknown>>;
  /** Draws and learns; gives networks by file. */
  readonly train: (report: (line: string) => void) => Promise<Readonly<Record<string, Graph>>>;
}

const withTrunk = async (graph: Graph) => startingFrom(graphOf(await readModel(model)), graph);
const draw = (own: Recipe, report: (line: string) => void) => {
  const examples = drawExamples(own);
  report(`drew ${own.pictures} pictures`);
  return examples;
};
const assets: readonly Asset[] = [
  {
    name: 'shapes',
    description: 'Which of eight kinds of things are in a drawn picture; the embedded example of gradcampp',
    recipe,
    sidecars: { 'shapes.json': sidecar },
    train: async (report) => ({
      'shapes.onnx': await train(untrained(recipe.seed), draw(recipe, report), recipe, report),
    }),
  },
  {
    name: 'segmenter',
    description: 'Which of eight kinds of things is at each pixel of a drawn picture',
    recipe: segmenterRecipe,
    sidecars: { 'segmenter.json': segmenterSidecar },
    train: async (report) => ({
      'segmenter.onnx': await trainSegmenter(
        await withTrunk(untrainedSegmenter(segmenterRecipe.seed)),
        draw(segmenterRecipe, report),
        segmenterRecipe,
        report,
      ),
    }),
  },
  {
    name: 'detector',
    description: 'Where things of eight kinds are in a drawn picture',
    recipe: detectorRecipe,
    sidecars: { 'detector.json': sidecar },
    train: async (report) => ({
      'detector.onnx': await trainDetector(
        await withTrunk(untrainedDetector(detectorRecipe.seed)),
        draw(detectorRecipe, report),
        detectorRecipe,
        report,
      ),
    }),
  },
  {
    name: 'captioner',
    description: 'Says what is in a drawn picture: counts, colours, kinds and the ground',
    recipe: captionerRecipes,
    sidecars: {
      'captioner/encoder_model.json': captionerSidecar,
      'captioner/vocabulary.json': vocabulary,
      'captioner/generation_config.json': generation,
    },
    train: async (report) => {
      let graph = await withTrunk(untrainedCaptioner(captionerRecipes[0].seed));
      for (const own of captionerRecipes) {
        const examples = drawScenes(own);
        report(`drew ${own.pictures} scenes`);
        graph = await trainCaptioner(graph, examples, own, report);
      }
      const { encoder, decoder } = captionerOf(graph);
      return { 'captioner/encoder_model.onnx': encoder, 'captioner/decoder_model.onnx': decoder };
    },
  },
];

for (const folder of ['pictures', 'scenes', 'captioner'])
  await mkdir(`assets/${folder}`, { recursive: true });
for (const asset of assets) {
  if (flags.train?.includes(asset.name) ?? true) await trainModel(asset);
  for (const [file, sidecar] of Object.entries(asset.sidecars))
    await writeFile(`assets/${file}`, `${JSON.stringify(sidecar, null, 2)}\n`);
}
for (const { file, seed } of demonstrations)
  await writeFile(`assets/pictures/${file}`, encodePng(asPixels(drawPicture(seed, pictureSize))));
for (const { file, seed } of demonstratedScenes)
  await writeFile(`assets/scenes/${file}`, encodePng(asPixels(drawScene(seed, pictureSize))));
await stateFigures(Number(flags['held-out']));
await stateCaptions(Number(flags['held-out']));

async function trainModel({ name, description, recipe: own, train: learn }: Asset): Promise<void> {
  const start = Date.now();
  const report = (line: string) => say(`${name}, ${Math.round((Date.now() - start) / 1000)} s: ${line}`);
  const metadata = new Map([
    ['description', description],
    [
      'made by',
      'npm run assets (scripts/assets): drawn pictures, gradients by src/autodiff run by ONNX Runtime',
    ],
    ['recipe', JSON.stringify(own)],
    ['license', 'Apache-2.0'],
  ]);
  for (const [file, graph] of Object.entries(await learn(report)))
    await modelFile({ ...graph, metadata }).save(`assets/${file}`);
}

/** Accuracy and instance coverage on pictures that were never trained on, drawn at the size of the demonstrations. */
async function stateFigures(count: number): Promise<void> {
  const explainer = await Explainer.open(model, { backend: 'reference' });
  const figures = await evaluate(explainer, heldOut, count, pictureSize);
  await explainer.close();
  say(`${model}: ${((await stat(model)).size / 1000).toFixed(0)} kB, layer ${explainer.layers.join()}`);
  for (const line of describe(figures)) say(line);
}

/** What the captioner gets right on scenes that were never trained on, drawn at its own size. */
async function stateCaptions(count: number): Promise<void> {
  const open = async (part: string) => graphOf(await readModel(`assets/captioner/${part}_model.onnx`));
  const speaker = await Speaker.open({ encoder: await open('encoder'), decoder: await open('decoder') });
  const scenes = drawScenes({ firstPicture: heldOut, pictures: count });
  const { words, groups, sentences } = await captionFigures(speaker, scenes);
  await speaker.close();
  const shares = Object.entries(words).map(([name, share]) => `${name} ${percent(share)}`);
  say(`captioner, ${count} held-out scenes: words after right ones: ${shares.join(', ')}`);
  say(
    `by itself: things with count, colour and kind ${percent(groups)}, whole sentences ${percent(sentences)}`,
  );
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function describe({ pictures, labels, pictureExact, top1, groups, instances, maps }: Figures): string[] {
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
