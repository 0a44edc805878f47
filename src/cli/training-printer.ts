import type { Trained, TrainProgress } from '../train/run/run.js';
import { ProgressLine } from './progress-line.js';
import { drawn, nowhere, print, say } from './terminal.js';

/** Shows how far a training is. */
export function trainingProgress(quiet: boolean | undefined): {
  readonly show: (progress: TrainProgress) => void;
  readonly clear: () => void;
} {
  const line = new ProgressLine(quiet ? nowhere : drawn);
  let stage = '';
  let whole = 0;
  return {
    show: ({ stage: own, done, total, note }) => {
      if (own !== stage) {
        line.start({ images: total, before: Math.floor(done), note });
        whole = Math.floor(done);
      }
      stage = own;
      line.say(note);
      for (; whole < Math.floor(done); whole++) line.step(false);
      line.within(done - whole);
    },
    clear: () => line.clear(),
  };
}

/** What a training came to. */
export function printTrained({ metric, arms, teacher, differences, measured, notes, files }: Trained): void {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  for (const note of notes) say(note);
  const rows = [
    ...(teacher ? [['teacher', teacher.value, ''] as const] : []),
    ...arms.map(({ name, value }) => [name, value.mean, interval(value)] as const),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  print(`${metric} on ${measured.pictures} ${measured.on} pictures`);
  for (const [name, value, own] of rows) print(`${name.padEnd(width)}  ${percent(value).padStart(6)}${own}`);
  for (const { arm, against, difference } of differences) {
    const { mean } = difference;
    const points = `${(100 * Math.abs(mean)).toFixed(1)} points`;
    print(`${arm}: ${points} ${mean < 0 ? 'less' : 'more'} than ${against}${interval(difference)}`);
  }
  say(`→ ${files.slice(0, 5).join(', ')}`);
}

function interval({ low, high }: { low: number | null; high: number | null }): string {
  return low === null || high === null ? '' : ` [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
}
