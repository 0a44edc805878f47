import { describe, expect, it } from 'vitest';
import type { ResultLine } from '../../../src/batch/results/result-line.js';
import { extentOf, timelines, windowsOf } from '../../../src/batch/results/timeline.js';

interface Drawn {
  readonly number?: number;
  readonly start: number;
  readonly interval?: number;
  readonly energies: readonly number[];
  readonly count?: number;
  readonly span?: number;
  readonly rate?: number;
  readonly name?: string;
  readonly method?: string;
}

function lineOf(drawn: Drawn): ResultLine {
  const { number, start, interval = 1, energies, count = energies.length, rate } = drawn;
  const { span = count * interval } = drawn;
  return {
    index: 4,
    image: { path: 'walk.mp4', clip: { number, start, interval, count, span, rate } },
    target: { name: drawn.name ?? 'walks', kind: 'class', score: 3, probability: 0.75 },
    layers: ['conv'],
    method: drawn.method ?? 'grad-cam++',
    map: {
      dims: [energies.length, 8, 8],
      empty: false,
      logScale: 0,
      bounds: [],
      frames: energies.map((energy) => ({ energy, bounds: [] })),
    },
    files: {},
  } as unknown as ResultLine;
}

const drawn = (...windows: readonly Drawn[]) =>
  timelines(windowsOf(windows.map(lineOf)).values()).map(({ text }) => text);
const barsOf = (text: string) =>
  Array.from(text.matchAll(/<rect x="(\d+)"[^>]*><title>([^<]*)</g), ([, x, title]) => `${x} ${title}`);

describe('the time line of a video', () => {
  it('has the mean energy where windows overlap, and none where no window is', () => {
    const [text] = drawn(
      { number: 0, start: 0, energies: [0.1, 0.2, 0.7], rate: 10 },
      { number: 1, start: 2, energies: [0.3, 0.3, 0.4], rate: 10 },
      { number: 2, start: 7, energies: [1, 0, 0], rate: 10 },
    );
    expect(barsOf(text)).toEqual([
      '0 0 s: 10.0 %',
      '1 0.1 s: 20.0 %',
      '2 0.2 s: 50.0 %',
      '3 0.3 s: 30.0 %',
      '4 0.4 s: 40.0 %',
      '7 0.7 s: 100.0 %',
      '8 0.8 s: 0.0 %',
      '9 0.9 s: 0.0 %',
    ]);
    expect(text).toContain('viewBox="0 0 10 20"');
  });

  it('lets a frame stand for those up to the next, and leaves out what a window is filled up with', () => {
    const [text] = drawn(
      { number: 0, start: 0, interval: 2, energies: [0.5, 0.5] },
      { number: 1, start: 4, interval: 2, energies: [0.2, 0.8], count: 1 },
    );
    expect(barsOf(text)).toEqual([
      '0 0 frames: 50.0 %',
      '1 1 frames: 50.0 %',
      '2 2 frames: 50.0 %',
      '3 3 frames: 50.0 %',
      '4 4 frames: 20.0 %',
      '5 5 frames: 20.0 %',
    ]);
  });

  it('ends where the video does', () => {
    const [text] = drawn(
      { number: 0, start: 0, interval: 3, energies: [0.5, 0.5] },
      { number: 1, start: 3, interval: 3, energies: [0.2, 0.8], span: 4 },
    );
    expect(barsOf(text).slice(5)).toEqual(['5 5 frames: 35.0 %', '6 6 frames: 80.0 %']);
    expect(text).toContain('viewBox="0 0 7 20"');
  });

  it('puts each window where its frames are, at the height of its probability, and leads to its figure', () => {
    const [text] = drawn(
      { number: 0, start: 0, energies: [0.5, 0.5] },
      { number: 1, start: 4, energies: [0.5, 0.5], name: 'runs' },
    );
    expect(text).toContain('<path d="M0 25H2"/><path d="M4 25H6"/><a href="#clip-4-0"');
    expect(text).toContain(
      '<title>4 to 6 frames: runs 75.0 %</title><path class="dot" d="M5 25h0"/></a></svg>',
    );
    expect(text).toContain('<a href="#clip-4-1">4 to 6 frames</a></th><td>runs</td><td>75.0 %</td>');
    expect(text).toContain('each with its own class');
  });

  it('is drawn for each method and target, and only where there are several windows', () => {
    const both = ['grad-cam', 'grad-cam++'].flatMap((method) =>
      [0, 1].flatMap((number) =>
        ['walks', 'runs'].map((name) => ({ number, start: number, energies: [1], method, name })),
      ),
    );
    const charts = drawn(...both);
    expect(charts).toHaveLength(4);
    expect(charts[1]).toContain('<b>2 windows</b> · runs, target 2');
    expect(drawn({ number: 0, start: 0, energies: [1] })).toEqual([]);
    expect(drawn({ start: 0, energies: [1] }, { start: 0, energies: [1], method: 'grad-cam' })).toEqual([]);
  });

  it('of a long video draws the mean of several frames as one bar', () => {
    const energies = Array.from({ length: 500 }, (_, t) => (t % 2 === 0 ? 0.002 : 0.004));
    const [text] = drawn(
      { number: 0, start: 0, energies, rate: 25 },
      { number: 1, start: 500, energies, rate: 25 },
    );
    const bars = barsOf(text);
    expect(bars).toHaveLength(250);
    expect(bars[249]).toBe('249 39.84 s: 0.3 %');
    expect(extentOf(lineOf({ number: 1, start: 500, energies, rate: 25 }))).toBe('20 to 40 s');
  });
});
