import { type Canvas, type Colour, hsv, type Layer, mix, paintThing, type Placement } from './canvas.js';
import { develop, type Instance, type Picture, place } from './draw.js';
import type { Recipe } from './fit.js';
import { grounds, paintGround } from './grounds.js';
import { inputSize } from './network.js';
import { Random } from './random.js';
import { type Group, type GroundName, groundNames, wordsOf } from './sentence.js';
import { box, circle, ellipse, stroke, without } from './shapes.js';
import { classes, things } from './things.js';

/** A thing of a scene, and which of the sentence's groups it belongs to. */
export interface SceneInstance extends Instance {
  readonly group: number;
}

/** A picture with the sentence that its drawing gives. */
export interface Scene extends Picture {
  readonly instances: readonly SceneInstance[];
  readonly groups: readonly Group[];
  readonly ground: GroundName;
  /** The sentence, a word each. */
  readonly words: readonly string[];
}

/** Hue, saturation, value; each is varied a little. */
const tints: Readonly<Record<Group['colour'], readonly [number, number, number]>> = {
  red: [0.995, 0.88, 0.8],
  yellow: [0.145, 0.85, 0.95],
  green: [0.33, 0.75, 0.6],
  blue: [0.61, 0.78, 0.82],
  purple: [0.76, 0.62, 0.68],
  pink: [0.925, 0.42, 0.97],
  white: [0.12, 0.04, 0.97],
};
export const colours = Object.keys(tints) as Group['colour'][];

/**
 * Draws the scene of a seed: one to three groups of things alike in kind and colour, six things at most, among clutter of all
 * colours that no sentence speaks of. Two groups may be of one kind. The scene does not depend on `size`.
 */
export function drawScene(seed: number, size: number): Scene {
  const random = new Random(seed);
  const groups = chooseGroups(random);
  const ground = random.pick(groundNames);
  const labels = new Uint8Array(size * size);
  const canvas: Canvas = { size, data: new Float32Array(size * size * 3), labels };
  paintGround(canvas, grounds[ground](random));
  for (let i = random.below(9); i > 0; i--) paintThing(canvas, clutter(random), anywhere(random), 0);

  const members = random.shuffle(groups.flatMap(({ count }, group) => Array<number>(count).fill(group)));
  const places = place(random, members.length);
  const instances = members.map((group, i): SceneInstance => {
    const { kind, colour } = groups[group];
    const { layers, turn } = things[kind];
    const at: Placement = { ...places[i], angle: random.between(-turn, turn), flip: random.next() < 0.5 };
    return {
      name: kind,
      box: paintThing(canvas, layers(random, tintOf(random, colour)), at, i + 1),
      group,
    };
  });
  const words = wordsOf(groups, ground);
  return { pixels: develop(canvas, random), size, labels, instances, groups, ground, words };
}

/** The scenes of a recipe, as large as the networks see them. */
export function drawScenes({ firstPicture, pictures }: Pick<Recipe, 'firstPicture' | 'pictures'>): Scene[] {
  return Array.from({ length: pictures }, (_, i) => drawScene(firstPicture + i, inputSize));
}

/** In the order in which sentences name them: by kind, then by colour. */
function chooseGroups(random: Random): Group[] {
  const wanted = random.pick([1, 1, 2, 2, 2, 3]);
  const most = Math.min(4, Math.floor(6 / wanted));
  const chosen = new Map<string, Group>();
  while (chosen.size < wanted) {
    const [kind, colour] = [random.pick(classes), random.pick(colours)];
    chosen.set(`${kind} ${colour}`, { kind, colour, count: 1 + random.below(most) });
  }
  return [...chosen.values()].sort(
    (a, b) =>
      classes.indexOf(a.kind) - classes.indexOf(b.kind) ||
      colours.indexOf(a.colour) - colours.indexOf(b.colour),
  );
}

function tintOf(random: Random, name: Group['colour']): Colour {
  const [hue, saturation, value] = tints[name];
  const vary = (amount: number) => random.between(-amount, amount);
  return hsv(
    hue + vary(0.015),
    Math.max(0, Math.min(1, saturation + vary(0.06))),
    Math.min(1, value + vary(0.05)),
  );
}

function anywhere(random: Random): Placement {
  return {
    x: random.next(),
    y: random.next(),
    radius: random.between(0.018, 0.05),
    angle: random.between(-Math.PI, Math.PI),
    flip: random.next() < 0.5,
  };
}

/** A pebble, a twig, a ring or a chip of some colour. */
function clutter(random: Random): Layer[] {
  const bright = hsv(random.next(), random.between(0.2, 0.8), random.between(0.4, 0.95));
  const grey = hsv(0.1, 0.1, random.between(0.3, 0.8));
  const paint = random.next() < 0.5 ? bright : mix(bright, grey, 0.8);
  const shape = random.pick([
    ellipse(0, 0, 0.9, random.between(0.5, 0.85)),
    stroke(-0.9, 0, 0.9, random.between(-0.3, 0.3), 0.16, 0.1),
    without(circle(0, 0, 0.85), circle(0, 0, 0.5)),
    box(0, 0, 0.8, random.between(0.3, 0.8), 0.1),
  ]);
  return [{ shape, paint, bevel: 0.2 }];
}
