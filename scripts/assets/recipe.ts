import { type ActionRecipe, clipSize } from './action.js';
import type { CaptionerRecipe } from './captioner.js';
import { actions, frameCount } from './clips.js';
import type { Recipe } from './fit.js';
import { inputSize, mean, std } from './network.js';
import { segments } from './segmenter.js';
import { classes } from './things.js';
import type { ClassifierRecipe } from './train.js';

export const recipe: ClassifierRecipe = {
  seed: 1,
  firstPicture: 1,
  pictures: 10_000,
  epochs: 10,
  batch: 32,
  learningRate: 2e-3,
  activationPenalty: 0.01,
  classifierPenalty: 0.005,
};

/** The segmenter and the detector start from the classifier's trunk, and need fewer pictures. */
export const segmenterRecipe: Recipe = {
  seed: 2,
  firstPicture: 1,
  pictures: 4_000,
  epochs: 8,
  batch: 32,
  learningRate: 1e-3,
};
export const detectorRecipe: Recipe = { ...segmenterRecipe, seed: 3 };

/**
 * The captioner starts from the trunk too, and has more to learn: first kinds, colours and sentences, then, from further pictures,
 * to count, then the same with channels that light up only where it helps.
 */
const first: CaptionerRecipe = {
  seed: 4,
  firstPicture: 1,
  pictures: 6_000,
  epochs: 12,
  batch: 32,
  learningRate: 2e-3,
  activationPenalty: 0.01,
  counts: false,
};
const second: CaptionerRecipe = {
  ...first,
  pictures: 9_000,
  epochs: 8,
  learningRate: 1.5e-3,
  activationPenalty: 0.05,
  counts: true,
};
export const captionerRecipes = [first, second, { ...second, activationPenalty: 0.2 }] as const;

/** Clips, which are also shown in a mirror, upside down and backwards. */
export const actionRecipe: ActionRecipe = {
  seed: 4,
  firstPicture: 0,
  pictures: 1_500,
  epochs: 12,
  batch: 10,
  learningRate: 3e-3,
  activationPenalty: 0.1,
  classifierPenalty: 0.001,
};

/** Seeds from here on are never trained on. */
export const heldOut = 1_000_000;

/** Pictures for people: the scenes of their seeds, drawn larger than the network sees them. */
export const pictureSize = 384;

/** What the sidecars say of the input. */
const input = {
  name: 'image',
  layout: 'NCHW',
  size: [inputSize, inputSize],
  // The sharpest: training pictures are drawn at this size, so they have crisp edges.
  interpolation: 'pillow-bicubic',
  channels: 'RGB',
  range: 1,
  mean: [mean, mean, mean],
  std: [std, std, std],
} as const;

/** What `shapes.json` says, and `detector.json`. */
export const sidecar = { input, classes } as const;

/** What `segmenter.json` says. */
export const segmenterSidecar = { input, classes: segments } as const;

/** What `encoder_model.json` says of the captioner. */
export const captionerSidecar = { input: { ...input, name: 'pixel_values' } } as const;

/** What `action.json` says. */
export const actionSidecar = {
  input: { ...input, layout: 'NCTHW', size: [clipSize, clipSize], frames: { count: frameCount } },
  classes: actions,
} as const;

/** Clips for people, drawn larger than the network sees them, and as fast as they are shown. */
export const [largeClip, clipRate] = [192, 6];

/** Clips of `assets/clips`, chosen by eye among the first held-out ones: what acts does so while others stand or tremble. */
export const clipDemonstrations = [
  { file: 'approaches.webp', seed: heldOut + 35 },
  { file: 'moves-left.webp', seed: heldOut + 20 },
  { file: 'swaps.webp', seed: heldOut + 24 },
  { file: 'turns.webp', seed: heldOut + 7 },
] as const;

/**
 * Pictures that the demo explains, chosen among the first thousand held-out seeds for a large difference, then by eye:
 * in each, Grad-CAM leaves an instance dark that Grad-CAM++ lights. What holds for all held-out pictures is what
 * `npm run assets` states.
 */
export const demonstrations = [
  { file: 'apples-and-cups.png', seed: heldOut + 644 },
  { file: 'fish-and-butterflies.png', seed: heldOut + 216 },
  { file: 'flowers-and-mushrooms.png', seed: heldOut + 953 },
  { file: 'leaves-and-butterflies.png', seed: heldOut + 501 },
  { file: 'leaves-and-mushrooms.png', seed: heldOut + 787 },
  { file: 'starfish-and-butterflies.png', seed: heldOut + 248 },
] as const;

/** Scenes whose words the captioner's demonstration explains, chosen by their sentences before it was trained. */
export const demonstratedScenes = [
  { file: 'apple-and-starfish.png', seed: heldOut + 20 },
  { file: 'cups.png', seed: heldOut + 31 },
  { file: 'cups-and-flowers.png', seed: heldOut + 23 },
  { file: 'mushrooms-and-starfish.png', seed: heldOut + 27 },
] as const;
