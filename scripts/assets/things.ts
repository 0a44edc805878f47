import { type Colour, hsv, type Layer, mix, smooth } from './canvas.js';
import type { Random } from './random.js';
import {
  around,
  blend,
  box,
  circle,
  common,
  ellipse,
  mirror,
  polygon,
  type Shape,
  stroke,
  union,
  without,
} from './shapes.js';

/** What can be in a picture; the order is the order of the classifier's scores. */
export const classes = [
  'apple',
  'butterfly',
  'cup',
  'fish',
  'flower',
  'leaf',
  'mushroom',
  'starfish',
] as const;
export type ClassName = (typeof classes)[number];

interface Thing {
  /**
   * Layers from the back to the front, about -1…1, y down. No two of a kind are alike.
   *
   * @param tint the colour of its skin; default: one that its kind has
   */
  readonly layers: (random: Random, tint?: Colour) => Layer[];
  /** How far it may be turned either way, radians. */
  readonly turn: number;
}

const dark: Colour = [0.13, 0.1, 0.1];
const cream: Colour = [0.97, 0.93, 0.84];
const wood: Colour = [0.38, 0.24, 0.13];

export const things: Readonly<Record<ClassName, Thing>> = {
  apple: { turn: 0.5, layers: apple },
  butterfly: { turn: Math.PI, layers: butterfly },
  cup: { turn: 0.25, layers: cup },
  fish: { turn: 0.5, layers: fish },
  flower: { turn: Math.PI, layers: flower },
  leaf: { turn: Math.PI, layers: leaf },
  mushroom: { turn: 0.4, layers: mushroom },
  starfish: { turn: Math.PI, layers: starfish },
};

function apple(random: Random, tint?: Colour): Layer[] {
  const own = random.pick<readonly [Colour, Colour]>([
    [hsv(0.99, 0.85, 0.8), hsv(0.08, 0.8, 0.95)],
    [hsv(0.25, 0.75, 0.72), hsv(0.18, 0.7, 0.9)],
    [hsv(0.14, 0.75, 0.95), hsv(0.02, 0.8, 0.88)],
  ]);
  const [skin, cheek] = tint ? [tint, mix(tint, cream, 0.25)] : own;
  const wide = random.between(0.3, 0.4);
  const body = blend(0.25, circle(-wide, 0.12, 0.55), circle(wide, 0.12, 0.55));
  const lower = blend(0.4, body, ellipse(0, 0.45, 0.5, 0.45));
  const streak = random.between(14, 20);
  const lean = random.between(-0.2, 0.2);
  return [
    { shape: ellipse(0.36, -0.72, 0.34, 0.15, -0.5), paint: hsv(0.28, 0.75, 0.55), bevel: 0.12 },
    {
      shape: lower,
      paint: (x, y) => {
        const angle = Math.atan2(x, y + 0.6);
        const share = smooth(0.9, -0.5, x + y) * 0.7 + 0.16 * Math.sin(angle * streak);
        return mix(skin, cheek, share);
      },
      bevel: 0.65,
      gloss: 0.55,
    },
    { shape: ellipse(0, -0.4, 0.2, 0.07), paint: mix(skin, dark, 0.55) },
    { shape: stroke(0, -0.38, lean, -0.95, 0.05, 0.075), paint: wood, bevel: 0.06 },
  ];
}

function butterfly(random: Random, tint?: Colour): Layer[] {
  const hue = random.pick([0.07, 0.14, 0.55, 0.62, 0.8, 0.95, 0]);
  const bright = tint ?? (hue === 0 ? hsv(0.12, 0.12, 0.97) : hsv(hue, 0.78, 0.95));
  const own = hue === 0 ? hsv(0.1, 0.35, 0.8) : hsv(hue - 0.05, 0.9, 0.68);
  const deep = tint ? mix(tint, dark, 0.25) : own;
  const spread = random.between(0.85, 1.05);
  const upper = ellipse(0.55 * spread, -0.32, 0.62, 0.37, -0.62);
  const lower = ellipse(0.42 * spread, 0.4, 0.42, 0.32, 0.75);
  const spot = random.between(0.09, 0.15);
  const wing = (shape: Shape, rim: number): Layer => ({
    shape: mirror(shape),
    paint: (x, y, depth) => {
      const vein = Math.abs(Math.sin(9 * Math.atan2(y, Math.abs(x)))) < 0.13 ? 0.35 : 0;
      const colour = mix(bright, deep, smooth(0.2, 0.95, Math.hypot(x, y)) + vein);
      return mix(dark, colour, smooth(rim * 0.7, rim, depth));
    },
    bevel: 0.05,
  });
  return [
    wing(lower, 0.07),
    wing(upper, 0.1),
    { shape: mirror(circle(0.78 * spread, -0.5, spot)), paint: cream },
    { shape: mirror(circle(0.5 * spread, 0.5, spot * 0.8)), paint: cream },
    { shape: mirror(stroke(0.02, -0.5, 0.3, -0.98, 0.03, 0.025)), paint: dark },
    { shape: mirror(circle(0.3, -0.98, 0.055)), paint: dark },
    {
      shape: union(ellipse(0, 0.05, 0.1, 0.55), circle(0, -0.5, 0.13)),
      paint: [0.25, 0.18, 0.15],
      bevel: 0.1,
    },
  ];
}

function cup(random: Random, tint?: Colour): Layer[] {
  const own = random.pick<Colour>([
    cream,
    hsv(0.58, 0.7, 0.75),
    hsv(0.02, 0.75, 0.8),
    hsv(0.45, 0.55, 0.7),
    hsv(0.13, 0.7, 0.93),
    hsv(0.75, 0.35, 0.7),
  ]);
  const glaze = tint ?? own;
  const pattern = own === cream ? hsv(random.next(), 0.7, 0.7) : cream;
  const band = tint ? mix(tint, dark, 0.3) : pattern;
  const taper = random.between(0, 0.16);
  const kind = random.below(3);
  const drink = random.pick<Colour>([
    [0.26, 0.15, 0.08],
    [0.62, 0.32, 0.08],
    [0.5, 0.58, 0.2],
  ]);
  const body: Shape = (x, y) =>
    box(0, 0.12, 0.62, 0.68, 0.22)(x / (1 - taper * Math.max(0, y + 0.4)), y) * 0.9;
  const handle = without(ellipse(0.66, 0.08, 0.36, 0.4), ellipse(0.66, 0.08, 0.21, 0.25));
  return [
    { shape: handle, paint: mix(glaze, dark, 0.08), bevel: 0.07, gloss: 0.2 },
    {
      shape: body,
      paint: (x, y) => {
        const isBand =
          kind === 0
            ? Math.abs(y - 0.25) < 0.14
            : kind === 1
              ? Math.hypot(((x + 3.15) % 0.3) - 0.15, ((y + 3) % 0.3) - 0.15) < 0.075 && y > -0.2
              : y > 0.5;
        const round = 1 - 0.32 * smooth(-0.2, 0.7, x) + 0.06 * smooth(-0.1, -0.5, x);
        const colour = isBand ? band : glaze;
        return [colour[0] * round, colour[1] * round, colour[2] * round];
      },
      bevel: 0.12,
      gloss: 0.2,
    },
    { shape: ellipse(0, -0.46, 0.64, 0.2), paint: mix(glaze, [1, 1, 1], 0.35) },
    { shape: ellipse(0, -0.45, 0.56, 0.145), paint: mix(glaze, dark, 0.45) },
    {
      shape: common(ellipse(0, -0.45, 0.56, 0.145), ellipse(0, -0.36, 0.54, 0.13)),
      paint: (x) => mix(drink, cream, 0.25 * smooth(0.1, -0.4, x)),
    },
  ];
}

function fish(random: Random, tint?: Colour): Layer[] {
  const hue = random.pick([0.04, 0.09, 0.14, 0.55, 0.6, 0.92]);
  const back = tint ?? hsv(hue, 0.85, 0.85);
  const belly = tint ? mix(tint, cream, 0.45) : mix(hsv(hue + 0.03, 0.35, 1), cream, 0.4);
  const fin = tint ? mix(tint, dark, 0.2) : hsv(hue - 0.03, 0.9, 0.72);
  const tall = random.between(0.4, 0.55);
  const kind = random.below(3);
  const body = blend(0.2, ellipse(-0.2, 0, 0.72, tall), ellipse(0.25, 0, 0.5, tall * 0.5));
  const rays = (x: number, y: number): Colour =>
    mix(fin, belly, 0.35 * (0.5 + 0.5 * Math.sin(26 * y + 6 * x)));
  const tail: readonly (readonly [number, number])[] = [
    [0.55, 0],
    [1, -0.48],
    [0.9, 0],
    [1, 0.48],
  ];
  const top: readonly (readonly [number, number])[] = [
    [-0.4, -tall * 0.7],
    [-0.05, -tall - 0.3],
    [0.38, -tall * 0.55],
  ];
  return [
    { shape: polygon(tail, 0.06), paint: rays, bevel: 0.05 },
    { shape: polygon(top, 0.04), paint: (x, y) => rays(y, x), bevel: 0.05 },
    {
      shape: polygon(
        [
          [-0.1, tall * 0.7],
          [0.22, tall + 0.2],
          [0.2, tall * 0.6],
        ],
        0.04,
      ),
      paint: fin,
      bevel: 0.05,
    },
    {
      shape: body,
      paint: (x, y) => {
        const colour = mix(back, belly, smooth(-0.1, tall, y));
        if (kind === 0 && x > -0.5 && Math.sin(11 * x) > 0.35) return mix(colour, cream, 0.85);
        if (kind === 1 && x > -0.45) {
          const [u, v] = [x * 7 + 0.5 * (Math.floor(y * 7) % 2), y * 7];
          return mix(
            colour,
            dark,
            0.28 * smooth(0.3, 0.5, Math.hypot(u - Math.floor(u) - 0.5, v - Math.floor(v) - 0.5)),
          );
        }
        return x < -0.52 ? mix(colour, fin, 0.4) : colour;
      },
      bevel: 0.4,
      gloss: 0.3,
    },
    { shape: ellipse(0.02, 0.08, 0.2, 0.1, 0.5), paint: fin, bevel: 0.06 },
    { shape: circle(-0.6, -0.1, 0.13), paint: [0.98, 0.98, 0.95] },
    { shape: circle(-0.62, -0.1, 0.075), paint: dark },
  ];
}

function flower(random: Random, tint?: Colour): Layer[] {
  const petals = 5 + random.below(5);
  const own = random.pick<Colour>([
    [0.98, 0.97, 0.95],
    hsv(0.93, 0.55, 0.95),
    hsv(0.14, 0.8, 0.98),
    hsv(0.73, 0.5, 0.85),
    hsv(0.6, 0.5, 0.92),
    hsv(0.02, 0.75, 0.9),
  ]);
  const colour = tint ?? own;
  const heart = colour[2] < 0.4 ? wood : hsv(random.between(0.1, 0.14), 0.85, 0.95);
  const wide = (1.75 / petals) * random.between(0.8, 1.05);
  const petal = ellipse(0, -0.6, wide, 0.4);
  const shade = tint ? mix(tint, dark, 0.3) : mix(colour, hsv(0.9, 0.7, 0.6), 0.55);
  const ring = (shape: Shape): Layer => ({
    shape,
    paint: (x, y) => mix(shade, colour, smooth(0.15, 0.75, Math.hypot(x, y))),
    bevel: 0.14,
  });
  const [cos, sin] = [Math.cos(Math.PI / petals), Math.sin(Math.PI / petals)];
  const turned: Shape = (x, y) => around(petals, petal)(x * cos + y * sin, y * cos - x * sin);
  return [
    ...(petals < 8 ? [ring(turned)] : []),
    ring(around(petals, petal)),
    {
      shape: circle(0, 0, random.between(0.24, 0.32)),
      paint: (x, y) => mix(heart, wood, 0.6 * smooth(0.2, 0.9, Math.sin(38 * x) * Math.sin(38 * y))),
      bevel: 0.2,
    },
  ];
}

function leaf(random: Random, tint?: Colour): Layer[] {
  const own = random.pick<readonly [Colour, Colour]>([
    [hsv(0.3, 0.75, 0.6), hsv(0.24, 0.7, 0.75)],
    [hsv(0.26, 0.65, 0.72), hsv(0.2, 0.65, 0.85)],
    [hsv(0.09, 0.85, 0.85), hsv(0.13, 0.8, 0.95)],
    [hsv(0.01, 0.8, 0.7), hsv(0.07, 0.8, 0.85)],
  ]);
  const [blade, tip] = tint ? [tint, mix(tint, cream, 0.2)] : own;
  const bulge = random.between(0.65, 1);
  const radius = (0.92 * 0.92 + bulge * bulge * 0.25) / bulge;
  const shift = radius - bulge * 0.5;
  const outline = common(circle(shift, 0, radius), circle(-shift, 0, radius));
  const veins = random.between(4.5, 6);
  const ribs: Colour = mix(tip, cream, 0.55);
  const saw: Shape = (x, y) => outline(x, y) + 0.025 * Math.sin(24 * y + 3 * Math.abs(x));
  return [
    {
      shape: stroke(0, 0.7, random.between(-0.15, 0.15), 1.12, 0.045),
      paint: mix(blade, wood, 0.5),
      bevel: 0.05,
    },
    {
      shape: saw,
      paint: (x, y) => {
        const along = (y + 0.75 * Math.abs(x)) * veins;
        const vein = smooth(0.16, 0.04, Math.abs(along - Math.round(along))) * smooth(0.03, 0.1, Math.abs(x));
        const half = mix(mix(blade, tip, smooth(0.6, -0.8, y)), dark, x > 0 ? 0.14 : 0);
        return mix(half, ribs, 0.65 * vein);
      },
      bevel: 0.1,
    },
    { shape: stroke(0, 0.9, 0, -0.8, 0.045, 0.02), paint: ribs },
  ];
}

function mushroom(random: Random, tint?: Colour): Layer[] {
  const own = random.pick<Colour>([
    hsv(0.005, 0.85, 0.8),
    hsv(0.07, 0.7, 0.65),
    hsv(0.1, 0.75, 0.85),
    hsv(0.05, 0.5, 0.42),
  ]);
  const cap = tint ?? own;
  const tall = random.between(0.55, 0.75);
  const dome = common(ellipse(0, 0.05, 0.92, tall + 0.25), (_, y) => y - 0.12);
  const cover = blend(0.12, dome, ellipse(0, 0.08, 0.88, 0.16));
  const spots = [
    circle(0.02, -tall * 0.55, 0.17),
    circle(-0.5, -0.12, 0.13),
    circle(0.5, -0.2, 0.15),
    circle(-0.28, -tall * 0.75, 0.09),
    circle(0.16, -0.06, 0.09),
  ];
  const spotted = random.next() < 0.7;
  const stem = random.between(0.2, 0.28);
  return [
    {
      shape: blend(0.2, stroke(0, 0.1, 0, 0.75, stem, stem * 1.1), ellipse(0, 0.85, stem * 1.5, 0.17)),
      paint: (x, y) => mix(cream, wood, 0.4 * smooth(0.45, 0.1, y) + 0.1 * Math.sin(22 * x)),
      bevel: 0.2,
    },
    { shape: cover, paint: (_, y) => mix(cap, dark, 0.35 * smooth(-0.1, 0.2, y)), bevel: 0.5, gloss: 0.35 },
    {
      shape: ellipse(0, 0.14, 0.7, 0.1),
      paint: (x) => mix(mix(cream, wood, 0.35), wood, 0.35 + 0.35 * Math.sin(40 * x)),
    },
    ...(spotted
      ? [
          {
            shape: common(union(...spots), (x: number, y: number) => cover(x, y) + 0.03),
            paint: cream,
            bevel: 0.05,
          },
        ]
      : []),
  ];
}

function starfish(random: Random, tint?: Colour): Layer[] {
  const hue = random.pick([0.03, 0.07, 0.98, 0.8, 0.58, 0.12]);
  const skin = tint ?? hsv(hue, 0.78, 0.88);
  const pale = tint ? mix(tint, cream, 0.35) : mix(hsv(hue + 0.03, 0.4, 1), cream, 0.4);
  const waist = random.between(0.34, 0.44);
  const points: (readonly [number, number])[] = [];
  for (let i = 0; i < 10; i++) {
    const radius = i % 2 === 0 ? 0.88 : waist;
    points.push([radius * Math.sin((i * Math.PI) / 5), -radius * Math.cos((i * Math.PI) / 5)]);
  }
  const dots = around(5, union(circle(0, -0.68, 0.05), circle(0, -0.48, 0.06), circle(0, -0.26, 0.07)));
  return [
    {
      shape: polygon(points, 0.1),
      paint: (x, y) => mix(pale, skin, smooth(0.1, 0.5, Math.hypot(x, y)) * 0.6 + 0.4),
      bevel: 0.3,
      gloss: 0.15,
    },
    { shape: union(dots, circle(0, 0, 0.08)), paint: pale, bevel: 0.05 },
  ];
}
