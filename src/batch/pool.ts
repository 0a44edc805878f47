import type { ResourceLimits, Transferable } from 'node:worker_threads';
import { type ErrorCode, GradcamppError } from '../errors.js';
import { type Channel, openProcess, openThread } from './channel.js';
import type { Service } from './serve.js';

export interface PoolOptions {
  /** The module that a worker runs; it answers through `serve` of serve.ts. */
  readonly script: URL;
  /** What every worker is given; it gets its number as `id` beside it. */
  readonly init: object;
  readonly size: number;
  /** Tasks that a worker holds at once, so that one is read while another is computed. */
  readonly depth: number;
  /** Seconds that a task may take once it is its worker's oldest; default: any. Of processes: threads cannot be stopped. */
  readonly timeout?: number;
  /** Workers are processes instead of threads. */
  readonly isolate?: boolean;
  /** Of threads; default: as the main thread's. */
  readonly resourceLimits?: ResourceLimits;
}

/** From a worker. */
export type Reply =
  | { readonly ready: unknown }
  | { readonly task: number; readonly result: unknown }
  | { readonly task?: number; readonly error: ThrownError };

/** An error as it travels; `code` is absent for faults. */
export interface ThrownError {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly stack?: string;
}

/** A task that ended its worker twice, or took too long twice; others go on. */
export class KillerError extends GradcamppError {
  /** What it did, to follow its name. */
  readonly reason: string;

  constructor(reason: string) {
    super('RUNTIME', `The picture ${reason}.`);
    this.reason = reason;
  }
}

interface Task {
  readonly id: number;
  readonly body: unknown;
  readonly transfer: readonly Transferable[];
  /** How often a worker died over it. */
  deaths: number;
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  channel: Channel;
  isReady: boolean;
  /** Oldest first. No Map: what it outgrows keeps its later tables, and all in them, alive. */
  readonly tasks: Task[];
  timer: NodeJS.Timeout | undefined;
}

/** Whoever runs tasks: workers, or this thread. */
export interface Executor<Body, Result, Ready> {
  readonly ready: Promise<Ready>;
  run(body: Body, transfer?: readonly Transferable[]): Promise<Result>;
  /** Can be called again. */
  close(): Promise<void>;
}

/** Runs tasks in this thread, one after another. */
export function inThisThread<Body, Result, Ready>(opening: Promise<Service>): Executor<Body, Result, Ready> {
  opening.catch(() => undefined);
  let last: Promise<unknown> = opening;
  let closing: Promise<void> | undefined;
  const close = async () => (await opening.catch(() => undefined))?.close();
  return {
    ready: opening.then(({ ready }) => ready as Ready),
    run: (body) => {
      const result = last.then(async () => (await (await opening).run(body as never)).result as Result);
      last = result.catch(() => undefined);
      return result;
    },
    close: () => (closing ??= close()),
  };
}

/**
 * Workers that share a queue. One that dies is replaced, and what it held is tried once more, each task alone in a
 * worker, so that only the task which kills is blamed: it is rejected (RUNTIME). A task that takes too long is
 * treated like one that kills.
 */
export class Pool<Body, Result, Ready> implements Executor<Body, Result, Ready> {
  /** What the first worker says when it is open; rejected where it cannot open. */
  readonly ready: Promise<Ready>;
  readonly #options: PoolOptions;
  readonly #members = new Set<Member>();
  readonly #queue: Task[] = [];
  #count = 0;
  #workers = 0;
  #failedStarts = 0;
  #broken: Error | undefined;
  /** All workers are gone. */
  #ended: Promise<unknown> = Promise.resolve();
  #settleReady!: { resolve: (ready: Ready) => void; reject: (error: Error) => void };

  constructor(options: PoolOptions) {
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject };
    });
    this.ready.catch(() => undefined);
    for (let i = 0; i < options.size; i++) this.#add();
  }

  /** Queues a task. Buffers in `transfer` are the worker's afterwards, and such a task cannot be tried twice. */
  run(body: Body, transfer: readonly Transferable[] = []): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#queue.push({ id: this.#count++, body, transfer, deaths: 0, resolve: resolve as never, reject });
      this.#assign();
    });
  }

  /** Ends all workers; what they still hold is rejected. */
  async close(): Promise<void> {
    this.#break(new GradcamppError('RUNTIME', 'The workers were closed before the work was done.'));
    await this.#ended;
  }

  #add(): void {
    const member: Member = {
      channel: undefined as never,
      isReady: false,
      tasks: [],
      timer: undefined,
    };
    const { script, init, isolate, resourceLimits } = this.#options;
    const events = {
      message: (reply: Reply) => this.#receive(member, reply),
      exit: (reason: string) => this.#bury(member, reason),
    };
    const own = { ...init, id: this.#workers++ };
    member.channel = isolate
      ? openProcess(script, own, events)
      : openThread(script, own, events, resourceLimits);
    this.#members.add(member);
  }

  #receive(member: Member, reply: Reply): void {
    if ('ready' in reply) {
      member.isReady = true;
      this.#failedStarts = 0;
      this.#settleReady.resolve(reply.ready as Ready);
    } else if (reply.task === undefined) {
      return this.#break(errorOf((reply as { error: ThrownError }).error)); // it cannot open: nor could others
    } else {
      const at = member.tasks.findIndex(({ id }) => id === reply.task);
      if (at < 0) return;
      const [task] = member.tasks.splice(at, 1);
      if (at === 0) this.#watch(member);
      if ('error' in reply) task.reject(errorOf(reply.error));
      else task.resolve(reply.result as never);
    }
    this.#assign();
  }

  /** Hands out tasks, one for every worker before a second for any. A suspect gets a worker of its own. */
  #assign(): void {
    const ready = () =>
      [...this.#members]
        .filter((m) => m.isReady && m.tasks.length < this.#options.depth && !holdsSuspect(m))
        .sort((a, b) => a.tasks.length - b.tasks.length)[0];
    for (let task = this.#queue[0]; task !== undefined; task = this.#queue[0]) {
      const member = ready();
      if (!member || (task.deaths > 0 && member.tasks.length > 0)) return;
      this.#queue.shift();
      member.tasks.push(task);
      if (member.tasks.length === 1) this.#watch(member);
      member.channel.send({ task: task.id, body: task.body }, task.transfer);
    }
  }

  /** Starts the clock of the worker's oldest task. */
  #watch(member: Member): void {
    clearTimeout(member.timer);
    const { timeout } = this.#options;
    const task = member.tasks.at(0);
    if (timeout === undefined || !task) return;
    member.timer = setTimeout(() => {
      void member.channel.end();
      this.#bury(member, `took longer than ${timeout} s`, task);
    }, timeout * 1000);
  }

  /** Takes a dead worker out, gives back what it held, and starts another. */
  #bury(member: Member, reason: string, guilty?: Task): void {
    if (!this.#members.delete(member) || this.#broken) return;
    clearTimeout(member.timer);
    if (!member.isReady && ++this.#failedStarts > 3)
      return this.#break(new GradcamppError('RUNTIME', `No worker starts: the last one ${reason}.`));
    for (const task of member.tasks.toReversed()) {
      const isSuspect = guilty === undefined || guilty === task;
      if (isSuspect) task.deaths++;
      if (task.deaths > 1 || (isSuspect && task.transfer.length > 0)) {
        const what = guilty ? reason : `ended its worker twice: the last one ${reason}`;
        task.reject(new KillerError(what));
      } else this.#queue.unshift(task);
    }
    this.#add();
    this.#assign();
  }

  #break(error: Error): void {
    if (this.#broken) return;
    this.#broken = error;
    this.#settleReady.reject(error);
    const members = [...this.#members];
    this.#members.clear();
    this.#ended = Promise.all(members.map(({ channel }) => channel.end()));
    for (const { timer, tasks } of members) {
      clearTimeout(timer);
      for (const task of tasks) task.reject(error);
    }
    for (const task of this.#queue.splice(0)) task.reject(error);
  }
}

function holdsSuspect({ tasks }: Member): boolean {
  return tasks.some((task) => task.deaths > 0);
}

function errorOf({ code, message, stack }: ThrownError): Error {
  if (code) return new GradcamppError(code, message);
  const fault = new Error(message);
  fault.stack = stack;
  return fault;
}
