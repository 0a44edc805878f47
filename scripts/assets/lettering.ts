import sharp from 'sharp';
import type { Random } from './random.js';

/** A character as strokes: an SVG path over a cap height of 10, and its width. */
type Glyph = readonly [width: number, path: string];

const bowl = 'M0 10 V0 H3.2 a2.7 2.7 0 0 1 0 5.4 H0';
const round = (width: number) =>
  `M${width / 2} 0 A${width / 2} 5 0 1 1 ${width / 2} 10 A${width / 2} 5 0 1 1 ${width / 2} 0`;

const glyphs: Readonly<Record<string, Glyph>> = {
  A: [6.4, 'M0 10 L3.2 0 L6.4 10 M1.2 6.4 H5.2'],
  B: [6, 'M0 0 V10 H3.4 a2.6 2.6 0 0 0 0 -5.2 H0 M3.2 4.8 a2.4 2.4 0 0 0 0 -4.8 H0'],
  C: [6, 'M5.8 2.4 C5 .8 4.2 0 3.2 0 C1.2 0 0 2 0 5 C0 8 1.2 10 3.2 10 C4.2 10 5 9.2 5.8 7.6'],
  D: [6, 'M0 0 V10 H2.6 C4.8 10 6 8 6 5 C6 2 4.8 0 2.6 0 Z'],
  E: [5.4, 'M5.4 0 H0 V10 H5.4 M0 4.9 H4.6'],
  F: [5.4, 'M5.4 0 H0 V10 M0 4.9 H4.6'],
  G: [6, 'M5.9 2.2 C5.1 .7 4.3 0 3.2 0 C1.2 0 0 2 0 5 C0 8 1.2 10 3.2 10 C4.4 10 5.4 9.4 6 8.6 V5.4 H3.6'],
  H: [6, 'M0 0 V10 M6 0 V10 M0 4.9 H6'],
  I: [0, 'M0 0 V10'],
  J: [4.6, 'M4.6 0 V7.2 A2.3 2.8 0 0 1 0 7.2'],
  K: [6, 'M0 0 V10 M5.6 0 L0 6 M2.2 4 L6 10'],
  L: [5.2, 'M0 0 V10 H5.2'],
  M: [7.2, 'M0 10 V0 L3.6 6.6 L7.2 0 V10'],
  N: [6, 'M0 10 V0 L6 10 V0'],
  O: [6.6, round(6.6)],
  P: [5.9, bowl],
  R: [6, `${bowl} M3 5.4 L6 10`],
  S: [
    5.8,
    'M5.6 2 C5 .7 4.2 0 2.9 0 C1.3 0 .3 1.1 .3 2.5 C.3 5.6 5.8 4.3 5.8 7.4 C5.8 9 4.6 10 3 10 C1.5 10 .5 9.2 0 7.8',
  ],
  T: [6, 'M0 0 H6 M3 0 V10'],
  U: [6, 'M0 0 V6.8 A3 3.2 0 0 0 6 6.8 V0'],
  V: [6, 'M0 0 L3 10 L6 0'],
  W: [8.8, 'M0 0 L2.2 10 L4.4 2 L6.6 10 L8.8 0'],
  X: [6, 'M0 0 L6 10 M6 0 L0 10'],
  Y: [6, 'M0 0 L3 4.8 L6 0 M3 4.8 V10'],
  Z: [6, 'M0 0 H6 L0 10 H6'],
  2: [5.8, 'M.2 2.6 C.2 1 1.3 0 2.9 0 C4.5 0 5.6 1 5.6 2.6 C5.6 4.6 4 6 0 10 H5.8'],
  3: [
    5.7,
    'M.3 1.8 C.8 .6 1.7 0 2.9 0 C4.4 0 5.4 1 5.4 2.4 C5.4 3.9 4.3 4.7 2.2 4.7 C4.5 4.7 5.7 5.7 5.7 7.3 C5.7 9 4.5 10 2.8 10 C1.5 10 .5 9.4 0 8',
  ],
  4: [6, 'M4.4 10 V0 L0 7 H6'],
  5: [
    5.7,
    'M5.2 0 H.8 L.4 4.6 C1.2 4 2 3.8 2.8 3.8 C4.6 3.8 5.7 5 5.7 6.8 C5.7 8.7 4.5 10 2.7 10 C1.4 10 .5 9.4 0 8.2',
  ],
  6: [5.8, 'M.1 7 A2.8 3 0 1 1 5.7 7 A2.8 3 0 1 1 .1 7 C.1 3 1.2 1 3.8 0'],
  7: [5.8, 'M0 0 H5.8 L2 10'],
  8: [
    5.8,
    'M2.9 0 a2.4 2.3 0 1 1 0 4.6 a2.4 2.3 0 1 1 0 -4.6 M2.9 4.6 a2.9 2.7 0 1 1 0 5.4 a2.9 2.7 0 1 1 0 -5.4',
  ],
  9: [5.8, 'M5.7 3 A2.8 3 0 1 1 .1 3 A2.8 3 0 1 1 5.7 3 C5.7 7 4.6 9 2 10'],
};

/** A drawn line of text. */
export interface TextLine {
  readonly text: string;
  /** RGB, interleaved, `height` × `width`. */
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** The columns that each character's ink covers, from the first to behind the last; of a space none. */
  readonly columns: readonly (readonly [from: number, to: number])[];
}

const words = [
  'MAPLE',
  'RIVER',
  'CLOUD',
  'STONE',
  'HEAT',
  'MAP',
  'NETWORK',
  'GRADE',
  'PEARL',
  'WALK',
  'JUMP',
  'BOX',
  'ZEBRA',
  'COPPER',
  'FROST',
  'TUNNEL',
  'PLANET',
  'GARDEN',
  'WOLF',
  'KEY',
  'VECTOR',
  'DELTA',
  'HARBOUR',
  'LEMON',
];

/** One or two words or numbers. */
export function textOf(random: Random): string {
  const number = () =>
    Array.from({ length: 2 + random.below(3) }, () => random.pick([...'23456789'])).join('');
  return random.pick([
    () => `${random.pick(words)} ${random.pick(words)}`,
    () => `${random.pick(words)} ${number()}`,
    () => `${number()}${random.pick(words)}`,
  ])();
}

/** Draws a line of text, dark on light or light on dark, in strokes of some thickness, slant and size. */
export async function drawLine(
  text: string,
  random: Random,
  { width, height }: Pick<TextLine, 'width' | 'height'>,
): Promise<TextLine> {
  const weight = random.between(1, 1.7);
  const gap = random.between(2.4, 3.4);
  const units = [...text].reduce((sum, c) => sum + gap + (c === ' ' ? 2 : glyphs[c][0]), gap);
  const scale = Math.min(random.between(0.052, 0.068) * height, (width - 12) / units);
  const slant = random.between(-0.12, 0.2);
  const top = (height - 10 * scale) / 2 + random.between(-2, 2);
  let left = random.between(0, width - units * scale) + gap * scale;
  const columns: (readonly [number, number])[] = [];
  const paths: string[] = [];
  for (const character of text) {
    const [own, path] = character === ' ' ? [2, ''] : glyphs[character];
    paths.push(
      `<path d="${path}" transform="translate(${left} ${top}) scale(${scale}) skewX(${(-Math.atan(slant) * 180) / Math.PI}) translate(${5 * slant} 0)"/>`,
    );
    const reach = (Math.abs(5 * slant) + weight / 2) * scale;
    columns.push(
      character === ' ' ? [0, 0] : [Math.floor(left - reach), Math.ceil(left + own * scale + reach)],
    );
    left += (own + gap) * scale;
  }
  const shade = (from: number, to: number) =>
    `rgb(${[0, 1, 2].map(() => Math.round(random.between(from, to))).join(',')})`;
  const [paper, ink] =
    random.next() < 0.7 ? [shade(190, 255), shade(0, 90)] : [shade(0, 80), shade(180, 255)];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="${paper}"/><g fill="none" stroke="${ink}" stroke-width="${weight}" stroke-linecap="round" stroke-linejoin="round">${paths.join('')}</g></svg>`;
  const pixels = await sharp(Buffer.from(svg)).removeAlpha().raw().toBuffer();
  return { text, pixels: new Uint8Array(pixels), width, height, columns };
}
