import { mkdir, stat, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Explainer } from '../../src/batch/explainer.js';
import { graphOf } from '../../src/graph/from-model.js';
import type { Graph } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import { webp } from '../../src/clip/writers/webp.js';
import { encodePng } from '../../src/image/encode.js';
import { readModel } from '../../src/onnx/read.js';
import { variantsOfMethods } from '../../src/evaluate/variants.js';
import { drawClips, trainAction, untrainedAction } from './action.js';
import { captionFigures } from './caption-figures.js';
import { captionerOf, trainCaptioner, untrainedCaptioner } from './captioner.js';
import { clipFigures, openDrawn, tubeOf } from './clip-figures.js';
import { drawClip } from './clips.js';
import { trainDetector, untrainedDetector } from './detector.js';
import { drawPicture } from './draw.js';
import { asPixels, evaluate, type Figures, methods, thresholds } from './evaluate.js';
import type { Recipe } from './fit.js';
import { startingFrom, untrained } from './network.js';
import {
  actionRecipe,
  actionSidecar,
  captionerRecipes,
  captionerSidecar,
  clipDemonstrations,
  demonstratedScenes,
  demonstrations,
  detectorRecipe,
  heldOut,
  clipRate,
  largeClip,
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
    name: 'action',
    description: 'What happens in a drawn clip: nine actions that one frame does not tell',
    recipe: actionRecipe,
    sidecars: { 'action.json': actionSidecar },
    train: async (report) => {
      const clips = drawClips(actionRecipe);
      report(`drew ${actionRecipe.pictures} clips`);
      const start = untrainedAction(actionRecipe.seed);
      return { 'action.onnx': await trainAction(start, clips, actionRecipe, report) };
    },
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

for (const folder of ['pictures', 'scenes', 'captioner', 'clips'])
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
await writeClips();
await stateFigures(Number(flags['held-out']));
await stateCaptions(Number(flags['held-out']));
await stateActions(Number(flags['held-out']));

/** Clips as animations, and where and when they act, as `evaluate tubes` reads it. */
async function writeClips(): Promise<void> {
  const tubes: string[] = [];
  for (const { file, seed } of clipDemonstrations) {
    const clip = drawClip(seed, largeClip);
    const frames = clip.frames.map(
      (data) => ({ data, width: largeClip, height: largeClip, channels: 3 }) as const,
    );
    await writeFile(`assets/clips/${file}`, await webp.write(frames, { rate: clipRate }));
    const boxes = tubeOf(clip).boxes.map(({ frame, box: { x0, y0, x1, y1 } }) => [frame, x0, y0, x1, y1]);
    tubes.push(JSON.stringify({ clip: file, class: clip.action, boxes }));
  }
  await writeFile('assets/clips/tubes.json', `[\n${tubes.join(',\n')}\n]\n`);
}

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

/** How often the action network is right on clips that were never trained on. */
async function stateActions(count: number): Promise<void> {
  const subject = await openDrawn('assets/action.onnx');
  const variants = variantsOfMethods(['grad-cam++']);
  let right = 0;
  for (let seed = heldOut; seed < heldOut + count; seed++) {
    const { action, found } = await clipFigures(subject, seed, variants);
    if (action === found) right++;
  }
  await subject.close();
  say(`action, ${count} held-out clips: right ${percent(right / count)}`);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

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
