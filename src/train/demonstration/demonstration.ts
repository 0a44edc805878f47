import { join } from 'node:path';
import { makeFolder, unwritable } from '../../batch/results/write-file.js';
import { encodePng } from '../../image/encode.js';
import { writeFile } from 'node:fs/promises';
import type { TrainProgress } from '../run/progress.js';
import type { DistillOptions } from '../run/run.js';
import { train } from '../run/run.js';
import { draw, drawnClasses } from './draw.js';

/** Pictures of each class. */
interface Counts {
  readonly teacher: number;
  readonly student: number;
  readonly test: number;
}
const usual: Counts = { teacher: 400, student: 100, test: 100 };

/**
 * What `distill` learns where neither teacher nor pictures are named: pictures that are drawn into the output folder, and a
 * teacher that is trained on many of them. Students see a few.
 */
export async function demonstrationOptions(given: DistillOptions, counts = usual): Promise<DistillOptions> {
  const out = given.out ?? 'gradcampp-train';
  const root = join(out, 'demonstration');
  const total = (count: number) => (count * drawnClasses.length).toLocaleString('en');
  given.onNote?.(
    `No --teacher and no --data: a first try. Pictures of ${drawnClasses.length} shapes are drawn, a teacher is trained on ${total(counts.teacher)} of them, and small students on ${total(counts.student)}, from the labels alone and with the teacher. It takes about a minute on two cores.`,
  );
  const onProgress = given.onProgress;
  const folders = await drawAll(root, counts, (done, total) =>
    onProgress?.({ stage: 'pictures', done, total, note: 'pictures drawn' }),
  );
  const { files } = await train({
    student: 'resnet-8',
    data: folders.teacher,
    test: folders.test,
    epochs: 6,
    batch: 32,
    augment: [],
    validation: 0,
    out: join(root, 'teacher'),
    cache: join(root, 'cache'),
    ...(given.workers === undefined ? {} : { workers: given.workers }),
    resume: true,
    onProgress: (progress: TrainProgress) => onProgress?.({ ...progress, note: `teacher: ${progress.note}` }),
  });
  return {
    student: 'resnet-8',
    width: 0.5,
    epochs: 20,
    batch: 32,
    learningRate: 0.05,
    seeds: 2,
    cache: join(root, 'cache'),
    ...given,
    teacher: files[0],
    data: folders.student,
    test: folders.test,
  };
}

async function drawAll(
  root: string,
  counts: Counts,
  onProgress: (done: number, total: number) => void,
): Promise<Record<keyof Counts, string>> {
  const folders = Object.keys(counts) as (keyof Counts)[];
  const total =
    drawnClasses.length * folders.map((folder) => counts[folder]).reduce((sum, count) => sum + count, 0);
  let done = 0;
  try {
    for (const folder of folders)
      for (const name of drawnClasses) {
        await makeFolder(join(root, folder, name));
        for (let n = 0; n < counts[folder]; n++)
          await writeFile(join(root, folder, name, `${n}.png`), encodePng(draw(name, [folder, n]).picture));
        done += counts[folder];
        onProgress(done, total);
      }
  } catch (cause) {
    throw unwritable(root, cause);
  }
  return Object.fromEntries(folders.map((folder) => [folder, join(root, folder)])) as never;
}
