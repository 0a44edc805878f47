import { type Box, type Canvas, paintThing, type Placement } from './canvas.js';
import { daylight } from './draw.js';
import { grounds, paintGround } from './grounds.js';
import { Random } from './random.js';
import { type ClassName, things } from './things.js';

/** What can happen in a clip; the order is the order of the network's scores. One frame alone tells none of them. */
export const actions = [
  'approaches',
  'blinks',
  'moves down',
  'moves left',
  'moves right',
  'moves up',
  'recedes',
  'swaps',
  'turns',
] as const;
export type Action = (typeof actions)[number];

/** Frames of a clip; an action that lasts a third of them lasts `short`. */
export const frameCount = 12;
const short = frameCount / 3;

export interface DrawnClip {
  /** RGB, interleaved, `size` × `size` each. */
  readonly frames: readonly Uint8Array[];
  readonly size: number;
  readonly action: Action;
  /** The first and the last frame of the action; before and after it what acts stands still. */
  readonly first: number;
  readonly last: number;
  /** For each frame the boxes of what acts: two things swap; one that is out of sight stands in its box. */
  readonly boxes: readonly (readonly Box[])[];
}

/** Where a thing is at a part of the action, 0 … 1; `step` counts the action's frames. */
type Pose = (progress: number, step: number) => Placement & { readonly isHidden?: boolean };

/** Flowers and starfish look the same when they are turned by one of their rays: they neither act nor stand by. */
const kinds: readonly ClassName[] = ['apple', 'butterfly', 'cup', 'fish', 'leaf', 'mushroom'];

/**
 * Draws the clip of a seed: one thing acts (two where they swap) among things that stand, tremble, rock or pulse, on a ground
 * that says nothing. The action follows from the seed, and lasts a third of the clip in half of all, and longer in the others.
 * Every action but turning, blinking and swapping is another one backwards, so that rest before and after tells nothing.
 * The scene does not depend on `size`.
 */
export function drawClip(seed: number, size: number): DrawnClip {
  const random = new Random(seed);
  const action = actions[seed % actions.length];
  const length = random.next() < 0.5 ? short : short + 3 + random.below(frameCount - short - 2);
  const first = random.below(frameCount - length + 1);
  const last = first + length - 1;
  const poses = acts[action](random);
  const ends = poses.flatMap((pose) => [pose(0, 0), pose(1, 0)]);
  const others = bystanders(random, ends);
  const ground: Canvas = {
    size,
    data: new Float32Array(size * size * 3),
    labels: new Uint8Array(size * size),
  };
  paintGround(ground, random.pick(Object.values(grounds))(random));
  const names = random.shuffle(kinds);
  const looks = [...others, ...poses].map((_, i) => things[names[i]].layers(random));
  const [standing, moving] = [true, false].map((stands) =>
    [...others.entries()].filter(([, other]) => other.stands === stands),
  );
  for (const [i, { at }] of standing) paintThing(ground, looks[i], at(0), 1);
  const develop = daylight(random);
  const frames: Uint8Array[] = [];
  const boxes: Box[][] = [];
  for (let t = 0; t < frameCount; t++) {
    const canvas = { ...ground, data: ground.data.slice() };
    for (const [i, { at }] of moving) paintThing(canvas, looks[i], at(t), 1);
    const step = Math.min(Math.max(t - first, 0), length - 1);
    const own = poses.map((pose, i) => {
      const placement = pose(step / (length - 1), step);
      const onto = placement.isHidden ? { ...ground, data: new Float32Array(ground.data.length) } : canvas;
      return paintThing(onto, looks[others.length + i], placement, 2);
    });
    frames.push(develop(canvas.data));
    boxes.push(own);
  }
  return { frames, size, action, first, last, boxes };
}

/** What each action does with what acts. */
const acts: Readonly<Record<Action, (random: Random) => Pose[]>> = {
  approaches: (random) => [grows(random, 1)],
  recedes: (random) => [grows(random, -1)],
  'moves left': (random) => [moves(random, -1, 0)],
  'moves right': (random) => [moves(random, 1, 0)],
  'moves up': (random) => [moves(random, 0, -1)],
  'moves down': (random) => [moves(random, 0, 1)],
  turns: (random) => [turns(random)],
  blinks(random) {
    const at = somewhere(random, random.between(0.13, 0.2));
    return [(progress, step) => ({ ...at, isHidden: progress < 1 && (step % 4 === 1 || step % 4 === 2) })];
  },
  swaps(random) {
    const radius = random.between(0.12, 0.16);
    const direction = random.between(0, 2 * Math.PI);
    const half = random.between(0.17, 0.24);
    const reach = half + radius;
    const [x, y] = [random.between(reach, 1 - reach), random.between(reach, 1 - reach)];
    const side = random.pick([-1, 1]);
    const looks = [0, 1].map(() => lookOf(random));
    return looks.map((look, i) => (progress) => {
      const turn = direction + Math.PI * (i + side * progress);
      return { ...look, radius, x: x + half * Math.cos(turn), y: y + half * Math.sin(turn) };
    });
  },
};

function grows(random: Random, sign: number): Pose {
  const [small, large] = [random.between(0.085, 0.11), random.between(0.19, 0.24)];
  const at = somewhere(random, large);
  return (progress) => {
    const share = sign > 0 ? progress : 1 - progress;
    return { ...at, radius: small * (large / small) ** share };
  };
}

function moves(random: Random, dx: number, dy: number): Pose {
  const radius = random.between(0.13, 0.19);
  const path = random.between(0.35, 0.5);
  const within = (share: number) => {
    const margin = radius + (Math.abs(share) * path) / 2;
    return random.between(margin, 1 - margin);
  };
  const [x, y, look] = [within(dx), within(dy), lookOf(random)];
  return (progress) => ({
    ...look,
    radius,
    x: x + dx * path * (progress - 0.5),
    y: y + dy * path * (progress - 0.5),
  });
}

function turns(random: Random): Pose {
  const at = somewhere(random, random.between(0.15, 0.21));
  const by = random.pick([-1, 1]) * random.between(1.7, 2.9);
  return (progress) => ({ ...at, angle: at.angle + by * (progress - 0.5) });
}

function somewhere(random: Random, radius: number): Placement {
  const within = () => random.between(radius, 1 - radius);
  return { ...lookOf(random), radius, x: within(), y: within() };
}

function lookOf(random: Random): Pick<Placement, 'angle' | 'flip'> {
  return { angle: random.between(-Math.PI, Math.PI), flip: random.next() < 0.5 };
}

/** A thing that does not act: where it is at a frame, and whether that is always the same. */
interface Bystander {
  readonly at: (t: number) => Placement;
  readonly stands: boolean;
}

/** One to three things apart from each other and from where the action begins and ends; half of them stand. */
function bystanders(random: Random, ends: readonly Placement[]): Bystander[] {
  const placed: Placement[] = [...ends];
  const found: Placement[] = [];
  const wanted = 1 + random.below(3);
  for (let tries = 0; tries < 60 && found.length < wanted; tries++) {
    const at = somewhere(random, random.between(0.1, 0.18));
    if (placed.some(({ x, y, radius }) => Math.hypot(at.x - x, at.y - y) < 0.9 * (at.radius + radius)))
      continue;
    placed.push(at);
    found.push(at);
  }
  return found.map((at) => {
    if (random.next() < 0.5) return { at: () => at, stands: true };
    const [period, phase] = [random.between(3, 7), random.next()];
    const sway = random.pick<(swing: number) => Partial<Placement>>([
      (swing) => ({ x: at.x + 0.04 * swing }),
      (swing) => ({ y: at.y + 0.04 * swing }),
      (swing) => ({ angle: at.angle + 0.35 * swing }),
      (swing) => ({ radius: at.radius * (1 + 0.15 * swing) }),
    ]);
    return { at: (t) => ({ ...at, ...sway(Math.sin(2 * Math.PI * (t / period + phase))) }), stands: false };
  });
}
