import { basename } from 'node:path';
import type { TrainProgress } from '../train/run/progress.js';
import type { Trained } from '../train/run/run.js';
import { ProgressLine } from './progress-line.js';
import { drawn, nowhere, print, say } from './terminal.js';

/** How a training speaks while it is at it. */
export interface TrainingPrinter {
  readonly show: (progress: TrainProgress) => void;
  /** Says a note; what it came to says it no more. */
  readonly note: (note: string) => void;
  readonly clear: () => void;
  readonly trained: (trained: Trained) => void;
}

/**
 * Shows how far a training is, and what it came to. What ends the command before says how to go on.
 *
 * @param out the output folder
 */
export function trainingPrinter(quiet: boolean | undefined, out: string): TrainingPrinter {
  const line = new ProgressLine(quiet ? nowhere : drawn);
  const said = new Set<string>();
  let counted = '';
  let whole = 0;
  const stop = (signal: NodeJS.Signals) => {
    line.clear();
    say(`Stopped. What is done is kept in ${out}: the same command with --resume goes on with it.`, {
      event: 'interrupted',
    });
    process.removeAllListeners(signal);
    process.kill(process.pid, signal); // as if it had never been caught
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return {
    show: ({ stage: own, done, total, note }) => {
      if (counted !== `${own} ${total}`) {
        line.start({ images: total, before: Math.floor(done), note });
        whole = Math.floor(done);
      }
      counted = `${own} ${total}`;
      line.say(note);
      for (; whole < Math.floor(done); whole++) line.step(false);
      line.within(done - whole);
    },
    note: (note) => {
      said.add(note);
      if (quiet) return;
      line.clear();
      say(note);
    },
    clear: () => {
      line.clear();
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
    },
    trained: (trained) => {
      if (!quiet) printTrained({ ...trained, notes: trained.notes.filter((note) => !said.has(note)) });
    },
  };
}

/** What a training came to. */
function printTrained({ metric, arms, teacher, differences, measured, notes, files }: Trained): void {
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
  const [report, ...others] = ['report.html', 'student.onnx', 'student.json', 'results.json', 'log.jsonl'];
  const path = files.find((file) => basename(file) === report) ?? '';
  say(`→ ${path}, and beside it ${others.join(', ')}`, {
    event: 'finished',
    metric,
    teacher: teacher?.value,
    arms: arms.map(({ name, value }) => ({ name, value })),
    files,
  });
}

/** ` [low, high]`, the 95 % interval; of two seeds, which have none, ` (least to greatest)`. */
function interval({ low, high, range }: Trained['arms'][number]['value']): string {
  const [from, to] = (low === null || high === null ? range : [low, high]).map((end) =>
    (100 * end).toFixed(1),
  );
  if (low !== null) return ` [${from}, ${to}]`;
  return from === to ? '' : ` (${from} to ${to})`;
}
