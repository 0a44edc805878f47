import type { ResourceLimits } from 'node:worker_threads';
import { GradcamppError, messageOf } from '../../errors.js';
import { type Channel, openProcess, openThread } from './channel.js';
import type { Executor, TaskOptions } from './executor.js';
import type { Reply, ThrownError } from './messages.js';
import { TaskError } from './task-error.js';

export interface PoolOptions {
  /** The module that a worker runs; it answers through `serve` of serve.ts. */
  readonly script: URL;
  /** What every worker is given; it gets its number as `id` beside it. */
  readonly init: object;
  readonly size: number;
  /** Tasks that a worker holds at once, so that one is read while another is computed. */
  readonly depth: number;
  /** Seconds that a task may take once it is its worker's oldest, times its share; default: any. */
  readonly timeout?: number;
  /** Workers are processes instead of threads. */
  readonly isolate?: boolean;
  /** Of threads; default: as the main thread's. */
  readonly resourceLimits?: ResourceLimits;
}

/** The longest time that a timer takes, in milliseconds. */
const longest = 2 ** 31 - 1;

interface Task {
  readonly id: number;
  readonly body: unknown;
  readonly options: TaskOptions;
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

/**
 * Workers that share a queue. One that dies is replaced, and what it held is tried once more, each task alone in a
 * worker, so that only the task which kills is blamed: it is rejected (TaskError). A task that takes too long is rejected,
 * and its worker replaced: a process is killed; a thread, which cannot be stopped within ONNX Runtime, is left to end by
 * itself.
 */
export class Pool<Body, Result, Ready> implements Executor<Body, Result, Ready> {
  /** What the first worker says when it is open; rejected where it cannot open. */
  readonly ready: Promise<Ready>;
  readonly #options: PoolOptions;
  readonly #members = new Set<Member>();
  readonly #queue: Task[] = [];
  /** Replaced, and perhaps still there. */
  readonly #abandoned = new Set<Channel>();
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

  /** Queues a task. */
  run(body: Body, options: TaskOptions = {}): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#queue.push({ id: this.#count++, body, options, deaths: 0, resolve: resolve as never, reject });
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
      exit: (reason: string) => {
        this.#abandoned.delete(member.channel);
        this.#bury(member, reason);
      },
    };
    const own = { ...init, id: this.#workers++ };
    member.channel = isolate
      ? openProcess(script, own, events)
      : openThread(script, own, events, resourceLimits);
    this.#members.add(member);
  }

  #receive(member: Member, reply: Reply): void {
    if (!this.#members.has(member)) return; // it is too late
    if ('ready' in reply) {
      member.isReady = true;
      this.#failedStarts = 0;
      this.#settleReady.resolve(reply.ready as Ready);
    } else if (reply.task === undefined) {
      return this.#break(errorOf((reply as { error: ThrownError }).error)); // it cannot open: nor could others
    } else {
      const at = member.tasks.findIndex(({ id }) => id === reply.task);
      if (at < 0) return;
      if ('progress' in reply) return member.tasks[at].options.onProgress?.(reply.progress as never);
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
      try {
        member.channel.send({ task: task.id, body: task.body }, task.options.transfer);
      } catch (error) {
        task.reject(unsendable(error));
        continue; // it was not taken
      }
      member.tasks.push(task);
      if (member.tasks.length === 1) this.#watch(member);
    }
  }

  /** Starts the clock of the worker's oldest task. */
  #watch(member: Member): void {
    clearTimeout(member.timer);
    const { timeout } = this.#options;
    const task = member.tasks.at(0);
    if (timeout === undefined || !task) return;
    const seconds = timeout * (task.options.share ?? 1);
    member.timer = setTimeout(() => this.#giveUp(member, task, seconds), Math.min(seconds * 1000, longest));
  }

  /** Blames a task that takes too long, and replaces its worker. */
  #giveUp(member: Member, task: Task, seconds: number): void {
    const { isolate, size } = this.#options;
    const advice = isolate
      ? ''
      : '; it still holds its thread, which cannot be stopped: "isolate" stops pictures';
    member.tasks.splice(member.tasks.indexOf(task), 1);
    this.#blame(task, `took longer than ${seconds} s${advice}`);
    this.#abandoned.add(member.channel);
    member.channel.abandon();
    if (this.#abandoned.size > size && !isolate)
      this.#break(
        new GradcamppError(
          'RUNTIME',
          `${this.#abandoned.size} pictures took longer than ${seconds} s each and still hold their threads. Use "isolate", which stops them, or a longer "timeout".`,
        ),
      );
    this.#replace(member);
  }

  /** What became of a worker's tasks when it died: they are suspects, and blamed the second time. */
  #bury(member: Member, reason: string): void {
    if (!this.#members.has(member) || this.#broken) return;
    if (!member.isReady && ++this.#failedStarts > 3)
      return this.#break(new GradcamppError('RUNTIME', `No worker starts: the last one ${reason}.`));
    for (const task of member.tasks.splice(0).toReversed()) {
      task.deaths++;
      if (task.deaths === 1 && isRepeatable(task)) this.#queue.unshift(task);
      else {
        const what = task.deaths > 1 ? 'ended its worker twice: the last one' : 'ended its worker, which';
        this.#blame(task, `${what} ${reason}`);
      }
    }
    this.#replace(member);
  }

  /** Takes a worker out, gives back what it holds, and starts another. */
  #replace(member: Member): void {
    if (this.#broken) return;
    clearTimeout(member.timer);
    this.#members.delete(member);
    for (const task of member.tasks.splice(0).toReversed())
      if (isRepeatable(task)) this.#queue.unshift(task);
      else this.#blame(task, 'was handed over to a worker that another picture ended');
    this.#add();
    this.#assign();
  }

  #blame(task: Task, reason: string): void {
    task.reject(new TaskError(reason, isRepeatable(task)));
  }

  #break(error: Error): void {
    if (this.#broken) return;
    this.#broken = error;
    this.#settleReady.reject(error);
    const members = [...this.#members];
    this.#members.clear();
    const channels = [...members.map(({ channel }) => channel), ...this.#abandoned];
    this.#ended = Promise.all(channels.map((channel) => channel.end()));
    for (const { timer, tasks } of members) {
      clearTimeout(timer);
      for (const task of tasks) task.reject(error);
    }
    for (const task of this.#queue.splice(0)) task.reject(error);
  }
}

/** Buffers that were handed over are gone with the worker. */
function isRepeatable({ options }: Task): boolean {
  return (options.transfer ?? []).length === 0;
}

/** Functions and the like do not travel, nor do buffers that are elsewhere already. */
function unsendable(error: unknown): TaskError {
  const reason = `cannot be handed to a worker: ${messageOf(error).replace(/\.$/, '')}`;
  return new TaskError(reason, true, 'INVALID_IMAGE');
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
