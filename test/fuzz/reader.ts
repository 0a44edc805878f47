import { spawn } from 'node:child_process';

/** Far above what reading any file takes on a busy machine: what takes longer hangs. */
const mostSeconds = 20;

/** What a reader says of a damaged file: before it begins, and when it is done. */
export interface Line {
  readonly i: number;
  readonly kind?: string;
  readonly file?: string;
  readonly outcome?: 'read' | 'refused' | 'foreign';
  readonly message?: string;
  readonly milliseconds?: number;
  readonly mebibytes?: number;
}

/** Runs a script that reads damaged files, in a process of its own, whose lines end early where it does. */
export function readMutants(
  script: string,
  args: readonly string[],
): Promise<{ lines: Line[]; end: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...args]);
    const lines: Line[] = [];
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    const restart = () => {
      clearTimeout(timer);
      timer = setTimeout(() => child.kill('SIGKILL'), mostSeconds * 1000);
    };
    restart();
    child.stdout.on('data', (chunk: Buffer) => {
      restart();
      const parts = (text + chunk.toString()).split('\n');
      text = parts.pop() ?? '';
      lines.push(...parts.map((line) => JSON.parse(line) as Line));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ lines, end: String(signal ?? code) });
    });
  });
}
