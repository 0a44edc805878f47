import type { Explainer } from '../../src/batch/explainer.js';
import type { Box } from './canvas.js';
import { drawPicture, type Picture } from './draw.js';
import { classes } from './things.js';

/** What is compared, in this order. */
export const methods = ['grad-cam', 'grad-cam++'] as const;
export type ComparedMethod = (typeof methods)[number];

/** Figures of one method over a set of pictures; shares are 0…1. */
export interface MapFigures {
  /** Share of instances, among classes with several in a picture, that are lit; one for each of `thresholds`. */
  readonly instancesLit: readonly number[];
  /** Share of those classes with every instance lit; one for each of `thresholds`. */
  readonly allLit: readonly number[];
  /** Share of the map that lies in the boxes of its own class. */
  readonly inside: number;
  /** Share of maps, in pictures of several classes, that are brighter in the boxes of their own class than in the others. */
  readonly discriminates: number;
}

export interface Figures {
  readonly pictures: number;
  /** Share of single labels (is this class in this picture?) that are right. */
  readonly labels: number;
  /** Share of pictures with all labels right. */
  readonly pictureExact: number;
  /** Share of pictures whose best class is in them. */
  readonly top1: number;
  /** Classes with several instances in a picture, and those instances. */
  readonly groups: number;
  readonly instances: number;
  readonly maps: Readonly<Record<ComparedMethod, MapFigures>>;
}

/** An instance is lit where the map reaches this part of its maximum in the instance's box. */
export const thresholds = [0.25, 0.5] as const;

/**
 * Accuracy, and both methods' maps at the automatic layer for every class that is in a picture and was found,
 * over freshly drawn pictures.
 *
 * @param size the pictures are drawn at this size and preprocessed as any other picture
 */
export async function evaluate(
  explainer: Explainer,
  first: number,
  count: number,
  size: number,
): Promise<Figures> {
  let [labels, exact, top1] = [0, 0, 0];
  const tallies = { 'grad-cam': new Tally(), 'grad-cam++': new Tally() };
  for (let seed = first; seed < first + count; seed++) {
    const picture = drawPicture(seed, size);
    const present = new Set(picture.instances.map(({ name }) => name));
    const targets = [...present];
    const [explanation] = await explainer.explain(asPixels(picture), { targets, method: methods });
    const { scores } = explanation;
    const right = classes.filter((name, i) => scores[i] > 0 === present.has(name)).length;
    labels += right / classes.length;
    exact += Number(right === classes.length);
    top1 += Number(present.has(classes[scores.indexOf(Math.max(...scores))]));
    for (const { target, method, map } of explanation.targets)
      if (target.score > 0)
        tallies[method as ComparedMethod].add(picture, target.name, map.data, map.dims[0]);
  }
  const tally = tallies['grad-cam++'];
  return {
    pictures: count,
    labels: labels / count,
    pictureExact: exact / count,
    top1: top1 / count,
    groups: tally.groups,
    instances: tally.instances,
    maps: { 'grad-cam': tallies['grad-cam'].figures(), 'grad-cam++': tally.figures() },
  };
}

export function asPixels({ pixels, size }: Picture) {
  return { data: pixels, width: size, height: size, channels: 3 } as const;
}

class Tally {
  groups = 0;
  instances = 0;
  readonly #lit = thresholds.map(() => 0);
  readonly #allLit = thresholds.map(() => 0);
  #maps = 0;
  #inside = 0;
  #contested = 0;
  #won = 0;

  add(picture: Picture, name: string, map: Float32Array, side: number): void {
    const own = picture.instances.filter((item) => item.name === name).map(({ box }) => box);
    const other = picture.instances.filter((item) => item.name !== name).map(({ box }) => box);
    if (own.length > 1) {
      const peaks = own.map((box) => Math.max(...valuesIn(map, side, box)));
      this.groups++;
      this.instances += own.length;
      for (const [i, threshold] of thresholds.entries()) {
        const reached = peaks.filter((peak) => peak >= threshold).length;
        this.#lit[i] += reached;
        this.#allLit[i] += Number(reached === own.length);
      }
    }
    const inOwn = own.flatMap((box) => valuesIn(map, side, box));
    const inOther = other.flatMap((box) => valuesIn(map, side, box));
    this.#maps++;
    this.#inside += sum(inOwn) / (sum(map) || 1);
    if (other.length > 0) {
      this.#contested++;
      this.#won += Number(sum(inOwn) / inOwn.length > sum(inOther) / inOther.length);
    }
  }

  figures(): MapFigures {
    return {
      instancesLit: this.#lit.map((count) => count / this.instances),
      allLit: this.#allLit.map((count) => count / this.groups),
      inside: this.#inside / this.#maps,
      discriminates: this.#won / this.#contested,
    };
  }
}

function valuesIn(map: Float32Array, side: number, box: Box): number[] {
  const [left, top, right, bottom] = box.map((share) => Math.round(share * side));
  const values: number[] = [];
  for (let row = top; row < bottom; row++)
    values.push(...map.subarray(row * side + left, row * side + right));
  return values;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}
