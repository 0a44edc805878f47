import { visible } from '../errors.js';
import { yesOrNo } from '../options.js';

/*
 * Everything that the commands print goes through here, a line at a time: results on standard output, all else on standard
 * error. Characters that would move the cursor, or turn the direction of writing, are written out as \u001b: names come from
 * files. JSON stays JSON, in which they are written so anyway.
 */

/** How a command prints. */
export const printOptions = {
  quiet: yesOrNo({ default: false, help: 'print nothing but errors', flag: '--quiet' }),
};

/** For runs that have lines of results. */
export const jsonOption = {
  json: yesOrNo({
    default: false,
    help: 'print the lines of results.jsonl, and nothing else, on standard output',
    flag: '--json',
  }),
};

/** Where lines are shown: a terminal, a pipe, or a test. */
export interface Terminal {
  readonly isTTY?: boolean;
  /** 0 where the terminal does not say. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** Exit code where the reader of the output went away before all was delivered: that of a process which SIGPIPE ends. */
export const pipeClosed = 141;

/** A line of results. */
export function print(line: string): void {
  write(process.stdout, `${visible(line)}\n`);
}

/** A line about the work. */
export function say(line: string): void {
  write(process.stderr, `${visible(line)}\n`);
}

/** An error. */
export function complain(message: string): void {
  say(`gradcampp: ${message}`);
}

/** A text of several lines. @param to what prints one */
export function printText(text: string, to: (line: string) => void = print): void {
  for (const line of text.replace(/\n$/, '').split('\n')) to(line);
}

/** Standard error, for what draws on it. */
export const drawn: Terminal = {
  get isTTY() {
    return process.stderr.isTTY;
  },
  get columns() {
    return process.stderr.columns;
  },
  write: (text) => write(process.stderr, text),
};

/** Where nothing is to be seen. */
export const nowhere: Terminal = { write: () => true };

function write(stream: NodeJS.WriteStream, text: string): void {
  try {
    stream.write(text); // to a file or device it throws, to a pipe it tells later
  } catch (error) {
    failed(stream, error as NodeJS.ErrnoException);
  }
}

/** Before anything is printed. */
export function watchStreams(): void {
  process.removeAllListeners('warning'); // Node's own words, with advice for a program's author
  process.on('warning', ({ message }) => say(message));
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => failed(stream, error));
}

/** A reader that goes away (`| head`) ends the command quietly; other faults of standard output are said. */
function failed(stream: NodeJS.WriteStream, { code, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE') process.exit(pipeClosed);
  if (stream === process.stderr) return; // where could it be said?
  const reason = code === 'ENOSPC' ? 'the disk is full' : message.split('\n', 1)[0];
  complain(`Standard output cannot be written: ${reason}.`);
  process.exit(1);
}
