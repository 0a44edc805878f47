import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { FramePattern } from './clip.js';
import { Unreadable } from '../image/decoders/decoder.js';

/** What is said where there is no ffmpeg. */
export const noFfmpeg =
  'videos are decoded by ffmpeg, and no commands "ffmpeg" and "ffprobe" are in PATH; install ffmpeg, or give a GIF or WebP animation or a folder of frames';

/**
 * Kinds of files that ffmpeg may take one for. All else is refused: among what it knows are lists of other files and addresses.
 */
const containers = 'mov,mp4,matroska,webm,avi,apng,mpeg,mpegts,flv,ogg,asf';

/** How ffmpeg and ffprobe are told to read a file, and nothing but it. */
export function reading(path: string): string[] {
  return ['-protocol_whitelist', 'file', '-format_whitelist', containers, '-i', `file:${resolve(path)}`];
}

/** A program that runs: what it writes is read from `stdout`, and `ended` says how it ended. */
export interface Running {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** What it writes to `pipe:3`. */
  readonly extra: Readable;
  /** Its exit status (null where it was stopped), and what it complained of. Rejects where there is no such program. */
  readonly ended: Promise<{ readonly code: number | null; readonly complaints: string }>;
}

/** What is kept of complaints. */
const mostComplaints = 10_000;

export function start(program: 'ffmpeg' | 'ffprobe', args: readonly string[]): Running {
  const process = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] }) as Running['process'];
  const extra = process.stdio[3] as Readable;
  extra.on('error', () => undefined).resume();
  let complaints = '';
  process.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (complaints.length < mostComplaints) complaints += text;
  });
  process.stdin.on('error', () => undefined); // it ended before it had read everything: its status says why
  const ended = new Promise<{ code: number | null; complaints: string }>((done, fail) => {
    process.on('error', (cause: NodeJS.ErrnoException) =>
      fail(cause.code === 'ENOENT' ? new Unreadable(noFfmpeg, { cause }) : cause),
    );
    process.on('close', (code) => done({ code, complaints }));
  });
  ended.catch(() => undefined); // who waits for it is told
  return { process, extra, ended };
}

/** Runs a program to its end, with all that it writes. */
export async function run(
  program: 'ffmpeg' | 'ffprobe',
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly complaints: string; readonly output: Buffer }> {
  const { process, ended } = start(program, args);
  process.stdin.end();
  const parts: Buffer[] = [];
  process.stdout.on('data', (part: Buffer) => parts.push(part));
  return { ...(await ended), output: Buffer.concat(parts) };
}

/** Longer expressions are left to who reads the frames. */
const longestExpression = 20_000;

/** The frames of a pattern as an expression of ffmpeg's filter `select`; undefined where it is all, or too many runs. */
export function selection({ runs, period }: FramePattern): string | undefined {
  const terms = runs.flatMap(({ start, interval, count }) => {
    if (period === undefined)
      return `between(n,${start},${start + (count - 1) * interval})*not(mod(n-${start},${interval}))`;
    if (start === 0 && interval === 1) return count < period ? `lt(mod(n,${period}),${count})` : '1';
    return Array.from({ length: count }, (_, j) => start + j * interval).map(
      (at) => `gte(n,${at})*not(mod(n-${at},${period}))`,
    );
  });
  const expression = terms.join('+');
  return terms.includes('1') || expression.length > longestExpression ? undefined : expression;
}

let found: Promise<boolean> | undefined;

/** Whether there is an ffmpeg; looked for once. */
export function hasFfmpeg(): Promise<boolean> {
  found ??= run('ffmpeg', ['-version']).then(
    ({ code }) => code === 0,
    () => false,
  );
  return found;
}
