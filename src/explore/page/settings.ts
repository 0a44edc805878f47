import { type Colormap, colormaps } from '../../image/colormap.js';
import { methodNames } from '../../methods/index.js';

/** A stroke of the brush, in pixels of the picture. */
export interface Stroke {
  readonly radius: number;
  /** x, y, x, y, … */
  readonly points: readonly number[];
}

/** All that the page shows, so that a link can hold it. */
export interface Settings {
  /** The model and the picture, by the names of their files; what is not there has to be opened or dropped. */
  readonly model: string;
  readonly picture: string;
  /** As `--target` takes it; empty: what fits the output. */
  readonly target: string;
  /** Of a captioner: the caption that is explained, empty for what it says; and the token, counted from 0, or all of them. */
  readonly text: string;
  readonly word: number | undefined;
  /** The first is the one that is looked at, the others stand beside it. */
  readonly methods: readonly string[];
  /** Empty: the automatic one. */
  readonly layer: string;
  readonly opacity: number;
  /** Map values below it are not drawn, and regions are bounded by it. */
  readonly threshold: number;
  /** The part of the width that the map lies over, from the right. */
  readonly swipe: number;
  readonly colormap: Colormap;
  readonly boxes: boolean;
  /** The place that is looked at, column and row of the layer; and one of its channels, which is then shown alone. */
  readonly at: readonly [column: number, row: number] | undefined;
  readonly channel: number | undefined;
  /** What the brush does: what it touches goes, or all else. */
  readonly brush: 'delete' | 'keep';
  /** Its width, as a share of the picture's shorter edge. */
  readonly size: number;
  readonly strokes: readonly Stroke[];
  /** Whether the map is that of the changed picture. */
  readonly remap: boolean;
}

export const initial: Settings = {
  model: '',
  picture: '',
  target: '',
  text: '',
  word: undefined,
  methods: ['grad-cam++'],
  layer: '',
  opacity: 0.6,
  threshold: 0.15,
  swipe: 1,
  colormap: 'viridis',
  boxes: false,
  at: undefined,
  channel: undefined,
  brush: 'delete',
  size: 0.06,
  strokes: [],
  remap: false,
};

/** How each is written in a link and read from it; what cannot be read stays as it is at first. */
type Codec<T> = readonly [write: (value: T) => string, read: (text: string) => T | undefined];

const text: Codec<string> = [(value) => value, (typed) => typed];
const share: Codec<number> = [
  (value) => String(Math.round(1000 * value) / 1000),
  (typed) => {
    const value = Number(typed);
    return typed !== '' && value >= 0 && value <= 1 ? value : undefined;
  },
];
const yes: Codec<boolean> = [(value) => (value ? '1' : '0'), (typed) => typed === '1'];
const whole = (typed: string) => (/^\d{1,7}$/.test(typed) ? Number(typed) : undefined);

const codecs: { readonly [K in keyof Settings]: Codec<Settings[K]> } = {
  model: text,
  picture: text,
  target: text,
  text,
  word: [(word) => String(word ?? ''), whole],
  methods: [
    (list) => list.join(','),
    (typed) => {
      const known = [...new Set(typed.split(','))].filter((name) => methodNames.includes(name));
      return known.length > 0 ? known : undefined;
    },
  ],
  layer: text,
  opacity: share,
  threshold: share,
  swipe: share,
  colormap: [(name) => name, (typed) => colormaps.find((name) => name === typed)],
  boxes: yes,
  at: [
    (at) => at?.join(',') ?? '',
    (typed) => {
      const [column, row] = typed.split(',').map(whole);
      return column === undefined || row === undefined ? undefined : [column, row];
    },
  ],
  channel: [(channel) => String(channel ?? ''), whole],
  size: share,
  brush: [(mode) => mode, (typed) => (typed === 'keep' ? 'keep' : 'delete')],
  strokes: [
    (strokes) => strokes.map(({ radius, points }) => [radius, ...points].map(Math.round).join('.')).join('_'),
    (typed) =>
      typed.split('_').flatMap((part) => {
        const [radius, ...points] = part.split('.').map(whole);
        const isWhole = points.length >= 2 && points.length % 2 === 0 && !points.includes(undefined);
        return radius !== undefined && isWhole ? [{ radius, points: points as number[] }] : [];
      }),
  ],
  remap: yes,
};

/** What a link holds behind its "#": all that is not as it is at first. */
export function linkOf(settings: Settings): string {
  const query = new URLSearchParams();
  for (const key of Object.keys(codecs) as (keyof Settings)[]) {
    const write = codecs[key][0] as (value: unknown) => string;
    const typed = write(settings[key]);
    if (typed !== write(initial[key])) query.set(key, typed);
  }
  return query.toString();
}

/** What a link says; it may have been written by anyone. */
export function settingsOf(link: string): Settings {
  const query = new URLSearchParams(link.replace(/^#/, ''));
  const found: Record<string, unknown> = {};
  for (const key of Object.keys(codecs) as (keyof Settings)[]) {
    const typed = query.get(key);
    const value = typed === null ? undefined : codecs[key][1](typed);
    if (value !== undefined) found[key] = value;
  }
  return { ...initial, ...found };
}
