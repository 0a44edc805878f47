import { visible } from '../errors.js';
import { choice, yesOrNo } from '../options.js';

/*
 * Everything that the commands print goes through here, a line at a time: results on standard output, all else on standard
 * error. Characters that would move the cursor, or turn the direction of writing, are written out as \u001b: names come from
 * files. JSON stays JSON, in which they are written so anyway.
 *
 * What is on standard error is the log: with --log json a JSON object a line, for programs that collect it.
 */

/** How a command prints. */
export const printOptions = {
  quiet: yesOrNo({ default: false, help: 'print nothing but errors', flag: '--quiet' }),
  log: choice(['text', 'json', 'none'], {
    default: 'text',
    help: 'what is on standard error: text, json (an object a line), or none but errors',
    flag: '--log <form>',
  }),
};

/** For runs that have lines of results. */
export const jsonOption = {
  json: yesOrNo({
    default: false,
    help: 'print the lines of results.jsonl, and nothing else, on standard output',
    flag: '--json',
  }),
};

/** What happened, as the log has it as JSON; its `message`, where it has none, is what is said. */
export interface Happening {
  readonly event: string;
  readonly [fact: string]: unknown;
}

let form = printOptions.log.default;

/** How the log is written from now on. @throws GradcamppError INVALID_OPTION */
export function logAs(chosen: unknown): void {
  form = printOptions.log.check(chosen, 'log');
}

/** Where a line is shown that changes: a terminal, a pipe, or a test. */
export interface Terminal {
  readonly isTTY?: boolean;
  /** 0 where the terminal does not say. */
  readonly columns?: number;
  /** On a terminal, which has a cursor. */
  write(text: string): unknown;
  /** Elsewhere: a line of its own. */
  say(line: string, what: Happening): void;
}

/** Exit code where the reader of the output went away before all was delivered: that of a process which SIGPIPE ends. */
export const pipeClosed = 141;

/** A line of results. */
export function print(line: string): void {
  write(process.stdout, `${visible(line)}\n`);
}

/** A line about the work, or several that say one thing. */
export function say(text: string | readonly string[], what: Happening = { event: 'note' }): void {
  log('info', text, what);
}

/** An error. */
export function complain(message: string, what: Happening = { event: 'error' }): void {
  log('error', form === 'json' ? message : `gradcampp: ${message}`, what);
}

/** What `say` and `complain` say. */
export function log(level: 'info' | 'error', text: string | readonly string[], what: Happening): void {
  if (form === 'none' && level === 'info') return;
  const lines = typeof text === 'string' ? [text] : text;
  const said = lines.join('\n') || undefined;
  const entry = () => ({
    time: new Date().toISOString(),
    level,
    ...what,
    message: 'message' in what ? what.message : said,
  });
  for (const line of form === 'json' ? [JSON.stringify(entry())] : lines)
    write(process.stderr, `${visible(line)}\n`);
}

/** A text of several lines. @param to what prints one */
export function printText(text: string, to: (line: string) => void = print): void {
  for (const line of text.replace(/\n$/, '').split('\n')) to(line);
}

/** Standard error, for what draws on it. */
export const drawn: Terminal = {
  get isTTY() {
    return process.stderr.isTTY && form === 'text';
  },
  get columns() {
    return process.stderr.columns;
  },
  write: (text) => write(process.stderr, text),
  say,
};

/** Where nothing is to be seen. */
export const nowhere: Terminal = { write: () => true, say: () => {} };

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
  process.on('warning', ({ message }) => say(message, { event: 'warning' }));
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
