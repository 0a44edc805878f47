import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { context, metrics, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type * as RunModule from '../src/batch/explain-folder.js';
import type * as PlanModule from '../src/fleet/plan.js';
import type * as ShardModule from '../src/fleet/run-shard.js';
import type * as ServeModule from '../src/serve/index.js';
import { StageWatch } from '../src/watch.js';
import { built } from './support/built.js';

const { explainFolder } = await built<typeof RunModule>('batch/explain-folder.js');
const { planShards } = await built<typeof PlanModule>('fleet/plan.js');
const { runShard } = await built<typeof ShardModule>('fleet/run-shard.js');
const { ExplainService, serviceApp } = await built<typeof ServeModule>('serve/index.js');

const spans = new InMemorySpanExporter();
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }));
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const points = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const reader = new PeriodicExportingMetricReader({ exporter: points, exportIntervalMillis: 2 ** 30 });
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-observe-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  await reader.forceFlush();
  spans.reset();
  points.reset();
});

const model = 'assets/shapes.onnx';
const pictures = ['apples-and-cups', 'fish-and-butterflies'].map((name) => `assets/pictures/${name}.png`);
let runs = 0;
const newFolder = () => join(folder, String(runs++));

const named = (name: string) => spans.getFinishedSpans().filter((span) => span.name === name);
const within = (parent: ReadableSpan) =>
  spans.getFinishedSpans().filter((span) => span.parentSpanContext?.spanId === parent.spanContext().spanId);
const at = ([seconds, nanoseconds]: readonly [number, number]) => 1000 * seconds + nanoseconds / 1e6;

/** What was counted since the last test, `name{attribute}` → number, or values of a histogram. */
async function counted(): Promise<Record<string, number>> {
  await reader.forceFlush();
  const found: Record<string, number> = {};
  for (const { metrics: own } of points.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics))
    for (const { descriptor, dataPoints } of own)
      for (const { attributes, value } of dataPoints)
        found[[descriptor.name, ...Object.values(attributes)].join(' ')] =
          typeof value === 'number' ? value : value.count;
  return found;
}

const inWorker = ['decode', 'forward', 'backward', 'map', 'encode'];

test('a run is a trace: pictures in it, and in these the stages as the workers timed them', async () => {
  const broken = join(folder, 'broken.png');
  writeFileSync(broken, 'no picture');
  await explainFolder({ model, images: [...pictures, broken], out: newFolder(), workforce: { workers: 2 } });
  const [run] = named('explain run');
  expect(run.attributes).toEqual({
    'gradcampp.model': model,
    'gradcampp.images': 3,
    'gradcampp.explained': 2,
    'gradcampp.failed': 1,
  });
  const passes = within(run);
  expect(passes.map(({ name }) => name)).toEqual(Array(3).fill('explain pictures'));
  for (const pass of passes) {
    const isBroken = pass.attributes['gradcampp.image'] === broken;
    const own = within(pass).toSorted((a, b) => at(a.startTime) - at(b.startTime));
    expect(own.map(({ name }) => name)).toEqual(isBroken ? ['decode', 'encode'] : inWorker);
    expect(pass.status.code).toBe(isBroken ? SpanStatusCode.ERROR : SpanStatusCode.UNSET);
    for (const [i, { startTime, endTime }] of own.entries()) {
      expect(at(startTime)).toBeGreaterThan(at(pass.startTime) - 1);
      expect(at(endTime)).toBeLessThan(at(pass.endTime) + 1);
      expect(at(endTime)).toBeGreaterThanOrEqual(at(startTime));
      if (i > 0) expect(at(startTime)).toBeGreaterThanOrEqual(at(own[i - 1].endTime) - 0.001);
    }
  }
  expect(await counted()).toEqual({
    'gradcampp.pictures explained': 2,
    'gradcampp.pictures failed': 1,
    'gradcampp.stage.duration decode': 3,
    'gradcampp.stage.duration forward': 2,
    'gradcampp.stage.duration backward': 2,
    'gradcampp.stage.duration map': 2,
    'gradcampp.stage.duration encode': 3,
  });
});

test('a method that runs the network many times has one stage of it, and a run that fails says why', async () => {
  const explain = { method: 'score-cam' as const };
  const one = { images: [pictures[0]], workforce: { workers: 0 } };
  await explainFolder({ model, ...one, explain, out: newFolder() });
  const stages = within(named('explain pictures')[0]).map(({ name }) => name);
  expect(stages).toEqual(['decode', 'forward', 'map', 'encode']);
  spans.reset();
  await expect(explainFolder({ model: 'none.onnx', ...one, out: newFolder() })).rejects.toThrow(/none.onnx/);
  const [run] = named('explain run');
  expect(run.status).toEqual({ code: SpanStatusCode.ERROR, message: expect.stringContaining('none.onnx') });
  expect(run.events).toHaveLength(1);
});

test('a shard is a span around its run', async () => {
  const out = newFolder();
  await planShards({ model, images: pictures, out, size: 1 });
  const workforce = { workers: 0 };
  for (let i = 0; i < 2; i++) await runShard({ plan: out, index: 1, workforce });
  const [first, second] = named('shard run');
  expect(first.attributes).toMatchObject({ 'gradcampp.shard': 1, 'gradcampp.outcome': 'done' });
  expect(within(first).map(({ name }) => name)).toEqual(['explain run']);
  expect(second.attributes['gradcampp.outcome']).toBe('done before');
  const found = await counted();
  expect(found).toMatchObject({ 'gradcampp.shards done': 1, 'gradcampp.shards done before': 1 });
});

test('a request goes on with the trace that it names, and holds the wait and the stages of its picture', async () => {
  const service = await ExplainService.open({ model, workforce: { workers: 0 } });
  const app = serviceApp(service);
  const body = await readFile(pictures[0]);
  const [caller, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
  const headers = { traceparent: `00-${caller}-${parent}-01` };
  const asked = (own: object, what: BodyInit = body) =>
    app.fetch(new Request('http://localhost/explain', { method: 'POST', body: what, ...own }));
  await Promise.all([asked({ headers }), asked({}, 'no picture')]);
  const requests = named('POST /explain');
  const ours = requests.find((span) => span.spanContext().traceId === caller) as ReadableSpan;
  const other = requests.find((span) => span !== ours) as ReadableSpan;
  expect(ours.parentSpanContext?.spanId).toBe(parent);
  expect(ours.kind).toBe(SpanKind.SERVER);
  expect(ours.attributes).toMatchObject({ 'http.route': '/explain', 'http.response.status_code': 200 });
  expect([other.attributes['http.response.status_code'], other.parentSpanContext]).toEqual([422, undefined]);
  const [picture] = within(ours);
  expect(picture.name).toBe('explain picture');
  expect(within(picture).map(({ name }) => name)).toEqual(['wait', ...inWorker]);
  expect(within(within(other)[0]).map(({ name }) => name)).toEqual(['wait', 'decode', 'encode']);

  // Within a server that is observed itself, its span is the parent.
  const outer = trace.getTracer('test').startSpan('outer');
  await context.with(trace.setSpan(context.active(), outer), () => asked({ headers }));
  const [inner] = within({ spanContext: () => outer.spanContext() } as ReadableSpan);
  expect([inner.name, inner.kind]).toEqual(['POST /explain', SpanKind.INTERNAL]);
  expect(await counted()).toMatchObject({
    'http.server.request.duration POST /explain 200': 2,
    'http.server.request.duration POST /explain 422': 1,
    'gradcampp.service.waiting': 0,
    'gradcampp.service.running': 0,
    'gradcampp.pictures explained': 2,
    'gradcampp.pictures failed': 1,
  });
  await service.close();
  points.reset();
  expect(Object.keys(await counted())).not.toContain('gradcampp.service.waiting');
});

test('a watch joins what follows itself, and keeps times of a long video in little memory', async () => {
  const watch = new StageWatch();
  await Promise.all([watch.during('decode', () => 1), watch.during('decode', async () => 2)]);
  await watch.during('map', () => 3);
  expect(watch.times.map(({ stage }) => stage)).toEqual(['decode', 'map']);
  for (let i = 0; i < 5000; i++) await watch.during(i % 2 ? 'map' : 'forward', () => undefined);
  expect(watch.times.length).toBeLessThanOrEqual(1000);
  expect(watch.sums.forward).toBeGreaterThan(0);
});
