import type { Start, Summary } from '../batch/explain-folder.js';
import type { LeftOut } from '../batch/inputs/left-out.js';
import type { FailedLine, ResultLine } from '../batch/results/result-line.js';
import { visible } from '../errors.js';
import { describeSummary, ProgressLine } from './progress-line.js';
import { complain, drawn, type Happening, nowhere, print, say } from './terminal.js';

/** Prints a run: a line a result on standard output; layer, progress, failures and summary on standard error. */
export class RunPrinter<Line extends object = ResultLine> {
  readonly #json: boolean;
  readonly #quiet: boolean;
  readonly #progress: ProgressLine;

  readonly #describe: (line: Line) => string;

  constructor(
    { json = false, quiet = false }: { readonly json?: boolean; readonly quiet?: boolean },
    describe: (line: Line) => string,
  ) {
    this.#describe = describe;
    this.#json = json;
    this.#quiet = quiet;
    this.#progress = new ProgressLine(quiet ? nowhere : drawn);
  }

  readonly say = (text: string | readonly string[], what?: Happening): void => {
    this.#progress.clear();
    if (!this.#quiet) say(text, what);
  };

  listed(_: number, leftOut: LeftOut): void {
    if (leftOut.sentence) this.say(leftOut.sentence, { event: 'left out', count: leftOut.count });
  }

  started(
    start: Pick<Start, 'images' | 'before' | 'failedBefore' | 'layers' | 'layerIsAutomatic' | 'notes'> & {
      readonly backend: string;
    },
  ): void {
    const { layers, layerIsAutomatic, notes, backend } = start;
    for (const note of notes) this.say(note);
    const named = `Layer: ${layers.join(', ')}${layerIsAutomatic ? ' (chosen automatically)' : ''}`;
    const { images, before } = start;
    this.say(layers.length > 0 ? [named] : [], { event: 'started', images, before, layers, backend });
    this.#progress.start({ ...start, note: `${layers.join(', ')}, ${backend}` });
  }

  picture(lines: readonly (Line | FailedLine)[]): void {
    const failed = lines.some((line) => 'error' in line);
    if (failed || process.stdout.isTTY) this.#progress.clear();
    for (const line of lines) {
      if (this.#json) print(JSON.stringify(line));
      if ('error' in line)
        complain(named(line), { event: 'picture', path: line.image.path, ...codeOf(line) });
      else if (!this.#json && !this.#quiet) print(this.#describe(line));
    }
    this.#progress.step(failed);
  }

  summary(summary: Summary): void {
    this.#progress.clear();
    const { error, images, explained, failed, before, stopped, seconds, out, stages, peakMemory } = summary;
    if (error) complain(error.message, { event: 'error', code: error.code });
    const facts = {
      images,
      explained,
      failed,
      before,
      stopped,
      seconds,
      out,
      milliseconds: stages,
      peakMemory,
    };
    this.say(describeSummary(summary), { event: 'finished', ...facts });
  }
}

function codeOf({ error }: FailedLine) {
  return { code: error.code };
}

/** The message, after the picture's path where it does not hold it. */
function named({ image: { path }, error: { message } }: FailedLine): string {
  const isNamed = (text: string) => message.includes(visible(text));
  if (path === undefined || isNamed(path) || isNamed(JSON.stringify(path))) return message;
  return `${path}: ${message}`;
}

/** `cat.jpg: tabby 93.1 % → cat.overlay.jpg`, `street.jpg: detection car 88.0 % → …` */
export function describeLine({ image, target, map, files }: ResultLine): string {
  const value =
    target.probability === undefined ? target.score : `${(100 * target.probability).toFixed(1)} %`;
  const kind = target.kind === 'class' ? '' : `${target.kind} `;
  const written = Object.values(files).join(', ');
  const first = image.frames === undefined ? '' : ` (first of ${image.frames} frames)`;
  const because = map?.emptyBecause === undefined ? '' : `: ${map.emptyBecause}`;
  const empty = map?.empty ? `, the map is empty${because}` : '';
  return `${image.path}${first}: ${kind}${target.name} ${value}${empty}${written ? ` → ${written}` : ''}`;
}
