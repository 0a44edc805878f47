import type { Captioner } from '../../src/caption/captioner.js';
import type { TokenExplanation } from '../../src/caption/caption-explanation.js';
import { regionOfBoxes } from '../../src/evaluate/annotations/region.js';
import { energyInside } from '../../src/evaluate/localization/metrics/energy.js';
import { ranksOf, saliencyOrder } from '../../src/evaluate/saliency-order.js';
import { mean } from '../../src/evaluate/statistics.js';
import type { Method } from '../../src/explain/explain-options.js';
import type { Tensor } from '../../src/tensor.js';
import { asPixels } from './evaluate.js';
import { imagesOf } from './fit.js';
import { inputSize } from './network.js';
import { drawScene, type Scene } from './scene.js';
import { end, type WordClass, vocabulary } from './sentence.js';
import type { Speaker } from './speaker.js';

/** Methods whose maps are compared, and what stands beside them. */
export const methods = ['grad-cam++', 'grad-cam', 'layer-cam', 'random'] as const satisfies readonly Method[];
/** The map of another noun of the sentence, by Grad-CAM++. */
export const otherNoun = 'other noun';
export const compared = [...methods, 'attention', otherNoun] as const;
export type Compared = (typeof compared)[number];

/** One scene: means over its groups. */
export interface SceneExplained {
  /** Share of the input that is explained, by the class of the word: what a uniform map has there. */
  readonly area: Readonly<Record<WordClass, number>>;
  /** Share of a word's map that lies there: in the boxes of its group's things; for the ground, outside all boxes. */
  readonly energy: Readonly<Record<WordClass, Readonly<Record<Compared, number>>>>;
  /** By how much the log-probability of a noun falls when only a part of the picture is kept. */
  readonly drop: Readonly<Record<Keep, Readonly<Record<Compared, number>>>>;
}

/** The picture times the map (E = L ⊙ I, arXiv 1710.11063, Sec. 4.1), or only where the map is in its brightest fifth. */
export const keeps = ['product', 'brightest'] as const;
export type Keep = (typeof keeps)[number];
const kept = 0.2;

/** Held-out scenes of two or three groups, so that every noun has another. */
export function scenesFrom(first: number, count: number): Scene[] {
  const scenes: Scene[] = [];
  for (let seed = first; scenes.length < count; seed++) {
    const scene = drawScene(seed, inputSize);
    if (scene.groups.length > 1) scenes.push(scene);
  }
  return scenes;
}

/** Explains every word of a scene's own sentence, whatever the captioner would say. */
export async function explainScene(
  captioner: Captioner,
  speaker: Speaker,
  scene: Scene,
): Promise<SceneExplained> {
  const words = [...scene.words, end];
  const ids = words.map((word) => vocabulary.indexOf(word));
  const { tokens } = await captioner.explain(asPixels(scene), { ids, method: methods });
  const boxes = scene.instances.map(({ box: [x0, y0, x1, y1], group }) => ({
    group,
    box: { x0: x0 * inputSize, y0: y0 * inputSize, x1: x1 * inputSize, y1: y1 * inputSize },
  }));
  const inside = (group?: number) =>
    regionOfBoxes(
      boxes.flatMap((own) => (group === undefined || own.group === group ? [own.box] : [])),
      inputSize,
      inputSize,
    );
  // Every group has three words, its count, its colour and its noun; an "and" stands between two.
  const groups = scene.groups.map((_, i) => ({
    first: 4 * i,
    inside: inside(i),
    other: (i + 1) % scene.groups.length,
  }));
  const mapsOf = (at: number, other: number) => mapsFor(tokens[at], tokens[4 * other + 2]);
  const within = (place: number) =>
    groups.map((group) => measured(mapsOf(group.first + place, group.other), group.inside));
  const places = { count: within(0), colour: within(1), kind: within(2) };
  const ground = [
    measured(
      mapsOf(words.length - 2, 0),
      inside().map((value) => 1 - value),
    ),
  ];
  const classes = { ...places, ground };
  const drops = await dropsOf(
    speaker,
    scene,
    groups.map(({ first, other }) => ({ at: first + 2, maps: mapsOf(first + 2, other) })),
  );
  return {
    area: record(Object.keys(classes) as WordClass[], (name) => mean(classes[name].map(({ area }) => area))),
    energy: record(Object.keys(classes) as WordClass[], (name) =>
      record(compared, (key) => mean(classes[name].map(({ energy }) => energy[key]))),
    ),
    drop: drops,
  };
}

type Maps = Readonly<Record<Compared, Float32Array>>;

function mapsFor(word: TokenExplanation, other: TokenExplanation): Maps {
  if (!word.attention) throw new Error('the captioner gives its attention');
  const [own, theirs] = [word, other].map((token) => token.methods.map(({ map }) => map.data));
  return {
    ...record(methods, (name) => own[methods.indexOf(name)]),
    attention: word.attention.data,
    [otherNoun]: theirs[0],
  };
}

function measured(maps: Maps, inside: Uint8Array) {
  return {
    area: inside.reduce((sum, value) => sum + value, 0) / inside.length,
    energy: record(compared, (key) => energyInside(maps[key], inside)),
  };
}

/** log p(noun | sentence before it) of the whole picture less that of what is kept of it; the rest is 0, the mean colour. */
async function dropsOf(
  speaker: Speaker,
  scene: Scene,
  nouns: readonly { readonly at: number; readonly maps: Maps }[],
): Promise<SceneExplained['drop']> {
  const whole = imagesOf([scene], [{ index: 0, isMirrored: false }]);
  const masks = [
    new Float32Array(inputSize ** 2).fill(1),
    ...nouns.flatMap(({ maps }) => {
      const ties = saliencyOrder(maps.random);
      return keeps.flatMap((keep) => compared.map((key) => maskOf(keep, maps[key], ties)));
    }),
  ];
  const rows = await speaker.along(
    masked(whole, masks),
    masks.map(() => [...scene.words, end]),
  );
  const each = compared.length * keeps.length;
  return record(keeps, (keep) =>
    record(compared, (key) =>
      mean(
        nouns.map(({ at }, i) => {
          const id = vocabulary.indexOf(scene.words[at]);
          const mask = 1 + i * each + keeps.indexOf(keep) * compared.length + compared.indexOf(key);
          return logProbability(rows[0][at], id) - logProbability(rows[mask][at], id);
        }),
      ),
    ),
  );
}

function maskOf(keep: Keep, map: Float32Array, ties: Uint32Array): Float32Array {
  if (keep === 'product') return map;
  const ranks = ranksOf(saliencyOrder(map, ties));
  return Float32Array.from(ranks, (rank) => Number(rank < kept * map.length));
}

function masked({ data }: Tensor, masks: readonly Float32Array[]): Tensor<'float32'> {
  const plane = inputSize ** 2;
  const all = new Float32Array(masks.length * 3 * plane);
  for (const [n, mask] of masks.entries())
    for (let i = 0; i < 3 * plane; i++) all[n * 3 * plane + i] = Number(data[i]) * mask[i % plane];
  return { type: 'float32', dims: [masks.length, 3, inputSize, inputSize], data: all };
}

function logProbability(scores: Float32Array, id: number): number {
  const most = Math.max(...scores);
  return scores[id] - most - Math.log(scores.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

export function record<Key extends string, Value>(
  keys: readonly Key[],
  valueOf: (key: Key) => Value,
): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, valueOf(key)])) as Record<Key, Value>;
}
