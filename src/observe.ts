import type { Attributes, Context, MetricOptions, Span, SpanKind } from '@opentelemetry/api';
import { messageOf } from './errors.js';
import { version } from './package.js';
import type { StageTime } from './watch.js';

type Api = typeof import('@opentelemetry/api');

/*
 * OpenTelemetry: spans and metrics for whoever set an SDK up, through its API package, which this is the one place to load. Where
 * that is not installed there is `unseen`, which does nothing. Work is done in workers, which know nothing of it: they say when
 * which stage began and ended, and spans are made of that here. docs/observability.md names all that is sent.
 */

/** A piece of work that is under way, as a span. */
export interface Observed {
  /** What is known only now. */
  set(attributes: Attributes): void;
  /** What was timed where it was worked on, as spans within this one. */
  add(times: readonly NamedTime[]): void;
  /** It failed, though nothing is thrown. */
  fail(message: string): void;
  /** A request of HTTP was answered. */
  answered(status: number): void;
}

export interface NamedTime {
  readonly stage: string;
  readonly start: number;
  readonly end: number;
}

export interface Observer {
  /** A piece of work as a span within what is active; what it throws is its status. */
  during<T>(name: string, attributes: Attributes, work: (own: Observed) => Promise<T>): Promise<T>;
  /** The same for a request, which may bring along what it is part of. */
  request<T>(request: Asked, work: (own: Observed) => Promise<T>): Promise<T>;
  /** Counts pictures, and how long each stage took for them together. */
  count(times: readonly StageTime[], pictures: { readonly explained: number; readonly failed: number }): void;
  /** Counts a shard. */
  countShard(outcome: string): void;
  /** Numbers that are read when they are asked for, until the function that is given back is called. */
  gauge(name: string, options: MetricOptions, read: () => number): () => void;
}

export interface Asked {
  readonly method: string;
  readonly route: string;
  readonly headers: Headers;
}

const nothing: Observed = { set() {}, add() {}, fail() {}, answered() {} };

/** Where OpenTelemetry's API is not installed. */
export const unseen: Observer = {
  during: (_, __, work) => work(nothing),
  request: (_, work) => work(nothing),
  count() {},
  countShard() {},
  gauge: () => () => {},
};

/** Whoever looks on. To be asked for when a run begins: an SDK that is set up later is not found. */
export async function observer(): Promise<Observer> {
  const api = await import('@opentelemetry/api').catch(() => undefined);
  return api ? observerOf(api) : unseen;
}

/** Upper ends of a histogram's buckets, in seconds. */
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

function observerOf(api: Api): Observer {
  const tracer = api.trace.getTracer('gradcampp', version);
  const meter = api.metrics.getMeter('gradcampp', version);
  const durations = { unit: 's', advice: { explicitBucketBoundaries: seconds } };
  const pictures = meter.createCounter('gradcampp.pictures', {
    unit: '{picture}',
    description: 'Pictures that were explained, or that failed',
  });
  const shards = meter.createCounter('gradcampp.shards', {
    unit: '{shard}',
    description: 'Shards that were run, by outcome',
  });
  const stages = meter.createHistogram('gradcampp.stage.duration', {
    ...durations,
    description: 'What a stage takes for the pictures of a pass',
  });
  const requests = meter.createHistogram('http.server.request.duration', {
    ...durations,
    description: 'Duration of HTTP server requests',
  });

  async function within<T>(
    { name, kind, attributes, parent }: Begun,
    work: (own: Observed) => Promise<T>,
  ): Promise<T> {
    const span = tracer.startSpan(name, { kind, attributes }, parent);
    const own = api.trace.setSpan(parent, span);
    try {
      return await api.context.with(own, () => work(observed(span, own)));
    } catch (error) {
      span.recordException(error as Error);
      span.setStatus({ code: api.SpanStatusCode.ERROR, message: messageOf(error) });
      throw error;
    } finally {
      span.end();
    }
  }

  const observed = (span: Span, own: Context): Observed => ({
    set: (attributes) => void span.setAttributes(attributes),
    add: (times) => {
      if (!span.isRecording()) return;
      for (const { stage, start, end } of times) tracer.startSpan(stage, { startTime: start }, own).end(end);
    },
    fail: (message) => void span.setStatus({ code: api.SpanStatusCode.ERROR, message }),
    answered: (status) => {
      span.setAttribute('http.response.status_code', status);
      if (status >= 500) span.setStatus({ code: api.SpanStatusCode.ERROR });
    },
  });

  return {
    during: (name, attributes, work) =>
      within({ name, attributes, kind: api.SpanKind.INTERNAL, parent: api.context.active() }, work),
    request: async ({ method, route, headers }, work) => {
      const active = api.context.active();
      // Where the server itself is observed, its span is there already and knows where the request comes from.
      const isFirst = api.trace.getSpan(active) === undefined;
      const parent = isFirst ? api.propagation.extract(active, headers, fromHeaders) : active;
      const kind = isFirst ? api.SpanKind.SERVER : api.SpanKind.INTERNAL;
      const attributes = { 'http.request.method': method, 'http.route': route };
      const since = performance.now();
      return within({ name: `${method} ${route}`, kind, attributes, parent }, (own) =>
        work({
          ...own,
          answered: (status) => {
            own.answered(status);
            const took = (performance.now() - since) / 1000;
            requests.record(took, { ...attributes, 'http.response.status_code': status });
          },
        }),
      );
    },
    count: (times, { explained, failed }) => {
      for (const { stage, start, end } of times)
        stages.record((end - start) / 1000, { 'gradcampp.stage': stage });
      if (explained > 0) pictures.add(explained, { 'gradcampp.outcome': 'explained' });
      if (failed > 0) pictures.add(failed, { 'gradcampp.outcome': 'failed' });
    },
    countShard: (outcome) => shards.add(1, { 'gradcampp.outcome': outcome }),
    gauge: (name, options, read) => {
      const own = meter.createObservableGauge(name, options);
      const look = (result: { observe(value: number): void }) => result.observe(read());
      own.addCallback(look);
      return () => own.removeCallback(look);
    },
  };
}

interface Begun {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  readonly parent: Context;
}

const fromHeaders = {
  get: (headers: Headers, name: string) => headers.get(name) ?? undefined,
  keys: (headers: Headers) => [...headers.keys()],
};
