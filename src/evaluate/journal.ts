import { appendFile, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { GradcamppError, show, systemReason } from '../errors.js';
import { checksumOf } from './study/checksum.js';

/** Finished jobs, kept on disk while an evaluation runs, so that `resume` need not measure them again. */
export interface Journal<T> {
  /** What earlier runs finished, by job. */
  readonly finished: ReadonlyMap<string, T>;
  add(job: string, result: T): Promise<void>;
  /** The evaluation is written: the journal is not needed any more. */
  remove(): Promise<void>;
}

/**
 * A file of lines `<job as JSON>\t<result, base64>`, after a first line with the checksum of what determines the
 * results. A last line that a crash cut off is measured again.
 *
 * @throws GradcamppError OUTPUT where `resume` meets a journal of other settings
 */
export async function openJournal<T>(
  path: string,
  determines: unknown,
  resume: boolean,
): Promise<Journal<T>> {
  const checksum = checksumOf(determines);
  const finished = new Map<string, T>();
  await mkdir(dirname(path), { recursive: true }).catch((cause: unknown) => {
    throw new GradcamppError(
      'OUTPUT',
      `Results cannot be written to ${show(dirname(path))}: ${systemReason(cause)}.`,
      { cause },
    );
  });
  const text = resume ? await readFile(path, 'utf8').catch(() => '') : '';
  const end = text.lastIndexOf('\n') + 1;
  const [first, ...lines] = text.slice(0, end).split('\n').filter(Boolean);
  if (first !== undefined && first !== checksum)
    throw new GradcamppError(
      'OUTPUT',
      `${show(path)} is of a run with another model, pictures or settings and cannot be resumed. Run without resuming, or write elsewhere.`,
    );
  for (const line of lines) {
    const [job, result] = line.split('\t');
    finished.set(JSON.parse(job), deserialize(Buffer.from(result, 'base64')));
  }
  if (first === undefined) await writeFile(path, `${checksum}\n`);
  else await truncate(path, Buffer.byteLength(text.slice(0, end)));
  let last: Promise<void> = Promise.resolve();
  return {
    finished,
    add: (job, result) => {
      const line = `${JSON.stringify(job)}\t${serialize(result).toString('base64')}\n`;
      last = last.then(() => appendFile(path, line));
      return last;
    },
    remove: () => rm(path, { force: true }),
  };
}
