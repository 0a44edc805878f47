import { expect, test } from 'vitest';
import { LeftOut } from '../../src/batch/inputs/left-out.js';
import { describeSummary, ProgressLine } from '../../src/cli/progress-line.js';

const start = { images: 200, before: 20, failedBefore: 1, note: 'relu5, native' };

/** A terminal that keeps what is written, and a clock that a test moves. */
function setUp(isTTY: boolean) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const write = (text: string) => written.push(text);
  const terminal = { isTTY, columns: 60, write, say: (line: string) => void write(`${line}\n`) };
  return { written, clock, progress: new ProgressLine(terminal, () => clock.ms) };
}

test('a line every five seconds where there is no terminal: rate and time left are of this run', () => {
  const { written, clock, progress } = setUp(false);
  progress.start(start);
  for (let i = 0; i < 60; i++) {
    clock.ms += 100;
    progress.step(i === 3);
  }
  expect(written).toEqual(['70/200 (35 %), 10.0/s, 0:13 left, 2 failed · relu5, native\n']);
});

test('what is done of pictures under way counts, also before one is finished', () => {
  const { written, clock, progress } = setUp(false);
  progress.start({ images: 2, note: 'groups of 50 pictures' });
  for (let i = 1; i <= 25; i++) {
    clock.ms += 1000;
    progress.within(i / 100);
  }
  clock.ms += 5000;
  progress.step(false, 0.1);
  clock.ms += 5000;
  progress.within(0.2);
  expect(written).toEqual([
    '0/2 (2 %), 0.6/min, 3:15 left · groups of 50 pictures\n',
    '0/2 (5 %), 0.6/min, 3:10 left · groups of 50 pictures\n',
    '0/2 (7 %), 0.6/min, 3:05 left · groups of 50 pictures\n',
    '0/2 (10 %), 0.6/min, 3:00 left · groups of 50 pictures\n',
    '0/2 (12 %), 0.6/min, 2:55 left · groups of 50 pictures\n',
    expect.stringMatching(/^1\/2 \(55 %\)/),
    expect.stringMatching(/^1\/2 \(60 %\)/),
  ]);
});

test.each([
  [600, '0.1/min', 0.00167],
  [3600, '1.0/h', 0.000278],
])('a picture in %d s is shown as %s', (seconds, shown, perSecond) => {
  const facts: object[] = [];
  const said: string[] = [];
  const clock = { ms: 0 };
  const say = (line: string, more?: object) => void (said.push(line), facts.push(more ?? {}));
  const progress = new ProgressLine({ isTTY: false, write: () => true, say }, () => clock.ms);
  progress.start({ images: 10, note: 'slow' });
  clock.ms = seconds * 1000;
  progress.step(false);
  expect(said[0]).toContain(`1/10 (10 %), ${shown}, `);
  expect(facts[0]).toMatchObject({ perSecond });
});

test('on a terminal one line is rewritten, ten times a second, cut to its width, and taken away', () => {
  const { written, clock, progress } = setUp(true);
  progress.start({ ...start, note: 'a layer with a name that is far too long for one line' });
  for (let i = 0; i < 30; i++) {
    clock.ms += 10;
    progress.step(false);
  }
  expect(written).toHaveLength(3);
  expect(written[2].slice(0, 11)).toBe('\r\x1b[K41/200 ');
  expect(written[2]).toHaveLength(4 + 59);
  progress.clear();
  progress.clear();
  expect(written.slice(3)).toEqual(['\r\x1b[K']);
});

test('a summary', () => {
  const summary = {
    out: 'maps',
    images: 2000,
    explained: 1500,
    failed: 10,
    before: 510,
    stopped: true,
    seconds: 20,
    workers: 2,
    stages: { decode: 3.04, forward: 14, backward: 0, map: 0.9, encode: 3 },
    peakMemory: 412e6,
    leftOut: new LeftOut(),
  };
  expect(describeSummary(summary)).toEqual([
    '1500 of 2000 pictures explained in 20.0 s (50.0/s, 2 workers) → maps',
    '10 failed, 510 were done before, 490 are left: --resume continues.',
    'A picture alone took 20.9 ms: decode 3.0, forward 14.0, map 0.9, encode 3.0.',
    'Peak memory 412 MB.',
  ]);
});
