import type { Summary } from '../batch/explain-folder.js';
import { visible } from '../errors.js';
import type { Terminal } from './terminal.js';

/** What is counted. */
export interface Counted {
  readonly images: number;
  /** Done by an earlier run, and how many of them failed. */
  readonly before?: number;
  readonly failedBefore?: number;
  /** Said at the end of the line. */
  readonly note: string;
}

/** Milliseconds between two looks of the line on a terminal, and between two lines elsewhere. */
const redrawn = 100;
const repeated = 5000;

/** One line that is rewritten on a terminal, a line every few seconds elsewhere. */
export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #recent: { time: number; done: number }[] = [];
  #counted: Counted = { images: 0, note: '' };
  #done = 0;
  /** Of the pictures under way, in pictures. */
  #within = 0;
  #failed = 0;
  #shownAt: number;
  #isShown = false;

  constructor(terminal: Terminal, now: () => number = () => performance.now()) {
    this.#terminal = terminal;
    this.#now = now;
    this.#shownAt = now();
  }

  start(counted: Counted): void {
    this.#counted = counted;
    this.#done = counted.before ?? 0;
    this.#failed = counted.failedBefore ?? 0;
    this.#within = 0;
    this.#recent.splice(0);
    this.#recent.push({ time: this.#now(), done: this.#done });
  }

  /** One picture is done, and so much of those under way. */
  step(failed: boolean, within = 0): void {
    this.#done++;
    this.#within = within;
    if (failed) this.#failed++;
    this.#show();
  }

  /** So much is done of the pictures under way, in pictures. */
  within(part: number): void {
    this.#within = part;
    this.#show();
  }

  /** What is said at the end of the line from now on. */
  say(note: string): void {
    this.#counted = { ...this.#counted, note };
  }

  #show(): void {
    const time = this.#now();
    if (time - this.#recent[this.#recent.length - 1].time > 1000)
      this.#recent.push({ time, done: this.#done + this.#within });
    if (this.#recent.length > 15) this.#recent.shift();
    const isDue = time - this.#shownAt >= (this.#terminal.isTTY ? redrawn : repeated);
    if (!isDue && (this.#isShown || !this.#terminal.isTTY)) return;
    this.#shownAt = time;
    const { line, ...facts } = this.#state();
    if (!this.#terminal.isTTY) this.#terminal.say(line, { event: 'progress', ...facts });
    else this.#terminal.write(`\r\x1b[K${line.slice(0, (this.#terminal.columns || 80) - 1)}`);
    this.#isShown = this.#terminal.isTTY === true;
  }

  /** Takes the line away, before something else is printed. */
  clear(): void {
    if (this.#isShown) this.#terminal.write('\r\x1b[K');
    this.#isShown = false;
  }

  /** `812/2000 (41 %), 43.1/s, 0:28 left, 3 failed · relu_conv_final, native`, and what it is made of. */
  #state() {
    const { images, note } = this.#counted;
    const [{ time, done }] = this.#recent;
    const now = this.#done + this.#within;
    const rate = Math.max(0, ((now - done) * 1000) / Math.max(this.#now() - time, 1));
    const share = Math.floor((100 * now) / Math.max(images, 1));
    const secondsLeft = rate > 0 ? (images - now) / rate : undefined;
    const left = secondsLeft === undefined ? '' : `, ${duration(secondsLeft)} left`;
    const failed = this.#failed > 0 ? `, ${this.#failed} failed` : '';
    const place = `${this.#done}/${images} (${share} %), ${shownRate(rate)}`;
    return {
      line: visible(`${place}${left}${failed} · ${note}`),
      done: this.#done,
      total: images,
      failed: this.#failed,
      perSecond: Number(rate.toPrecision(3)),
      secondsLeft: secondsLeft && Math.ceil(secondsLeft),
    };
  }
}

/** What a run came to, in one to four lines. */
export function describeSummary(summary: Summary): string[] {
  const { images, explained, failed, before, seconds, workers, out, stages, peakMemory, leftOut } = summary;
  const thing = summary.takesClips ? 'video' : 'picture';
  const now = explained + failed - before;
  const who = workers > 0 ? `, ${workers} ${workers === 1 ? 'worker' : 'workers'}` : '';
  const rate = now > 0 ? ` (${shownRate(now / seconds)}${who})` : '';
  const others = [
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(before > 0 ? [`${before} were done before`] : []),
    ...(leftOut.count > 0
      ? [`${leftOut.count} other ${leftOut.count === 1 ? 'file' : 'files'} left out: ${leftOut.kinds}`]
      : []),
    ...(summary.stopped ? [`${images - explained - failed} are left: --resume continues`] : []),
  ];
  const lines = [
    `${explained} of ${images} ${thing}s explained in ${seconds.toFixed(1)} s${rate} → ${out}`,
    ...(others.length > 0 ? [`${others.join(', ')}.`] : []),
  ];
  if (stages) {
    const parts = Object.entries(stages)
      .filter(([, ms]) => ms > 0)
      .map(([name, ms]) => `${name} ${ms.toFixed(1)}`);
    const sum = Object.values(stages).reduce((a, b) => a + b, 0);
    lines.push(`A ${thing} alone took ${sum.toFixed(1)} ms: ${parts.join(', ')}.`);
  }
  lines.push(`Peak memory ${(peakMemory / 1e6).toFixed(0)} MB.`);
  return lines;
}

/** Of pictures a second, in the unit that has digits to show. */
function shownRate(rate: number): string {
  if (rate >= 0.1 || rate === 0) return `${rate.toFixed(1)}/s`;
  return rate * 60 >= 0.1 ? `${(rate * 60).toFixed(1)}/min` : `${(rate * 3600).toFixed(1)}/h`;
}

function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}
