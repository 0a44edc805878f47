import { messageOf } from '../errors.js';
import { sizeOf } from '../tensor.js';
import type { BackendName, MapBackend, MapRequest } from './backend.js';
import { notFinite } from './compute.js';

/** A backend that auto may try. `open` is called at most once, and only when a trial needs it. */
export interface Contender {
  readonly name: BackendName;
  readonly open: () => Promise<MapBackend>;
}

export interface Verdict {
  readonly name: BackendName;
  /** What was measured, e.g. `fastest of native 0.11 ms, reference 0.71 ms a map`. */
  readonly reason: string;
}

/** A request this short is answered before a GPU has its data: upload, dispatch and read-back take about this long. */
const gpuStartsAt = 2;
/** A trial sees about this many activations of one target, and repeats for this long, in milliseconds. */
const trialElements = 1_000_000;
const trialTime = 15;

/** Measured verdicts, once per process: threads and shape class → verdict. */
const verdicts = new Map<string, Promise<Verdict>>();

/**
 * The fastest contender for requests like this one, by a short trial on the request's own numbers.
 * The GPU is opened only where the processor needs longer than a GPU's round trip, and never kept if it is software.
 */
export function chooseBackend(
  request: MapRequest,
  processors: readonly Contender[],
  gpu: Contender | undefined,
  key: string,
  known = verdicts,
): Promise<Verdict> {
  const id = `${key} ${shapeClass(request)}`;
  let verdict = known.get(id);
  if (!verdict) {
    verdict = measure(request, processors, gpu);
    known.set(id, verdict);
    verdict.catch(() => known.delete(id));
  }
  return verdict;
}

/** Requests of one class differ by less than a factor of two in each size. */
export function shapeClass(request: MapRequest): string {
  const step = (n: number) => Math.round(Math.log2(n));
  return [
    request.method,
    request.method === 'grad-cam++' ? request.form : '',
    step(mapsOf(request)),
    step(request.channels),
    step(sizeOf(request.layer)),
    step(sizeOf(request.size)),
  ].join(' ');
}

function mapsOf(request: MapRequest): number {
  return request.images * (request.method === 'cam' ? request.weights! : request.gradients).length;
}

async function measure(
  request: MapRequest,
  processors: readonly Contender[],
  gpu: Contender | undefined,
): Promise<Verdict> {
  const bad = notFinite(request);
  if (bad) throw bad;
  const elements = request.channels * sizeOf(request.layer);
  const trial = beginningOf(request, Math.ceil(trialElements / elements));
  const times: { name: BackendName; time: number }[] = [];
  const notes: string[] = [];
  for (const contender of processors) {
    try {
      times.push({
        name: contender.name,
        time: (await timeOf(await contender.open(), trial)) / trial.images,
      });
    } catch (error) {
      notes.push(`${contender.name} failed: ${messageOf(error)}`);
    }
  }
  const best = Math.min(...times.map(({ time }) => time));
  if (!gpu) notes.push('webgpu not allowed');
  else if (best * mapsOf(request) < gpuStartsAt) notes.push('too short for webgpu');
  else {
    try {
      const backend = await gpu.open();
      const software = 'adapter' in backend && (backend.adapter as { software?: boolean }).software;
      if (software) notes.push('the only GPU is a software one');
      else times.push({ name: 'webgpu', time: (await timeOf(backend, request)) / mapsOf(request) });
    } catch (error) {
      notes.push(`no webgpu: ${messageOf(error)}`);
    }
  }
  if (times.length === 0) throw new Error(notes.join('; '));
  times.sort((a, b) => a.time - b.time);
  const measured = times.map(({ name, time }) => `${name} ${time.toPrecision(2)} ms`).join(', ');
  return { name: times[0].name, reason: [`fastest of ${measured} a map`, ...notes].join('; ') };
}

/** Milliseconds: the least of a few runs after one that warms up. */
async function timeOf(backend: MapBackend, request: MapRequest): Promise<number> {
  await backend.compute(request);
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0, spent = 0; run < 5 && spent < trialTime; run++) {
    const start = performance.now();
    await backend.compute(request);
    const time = performance.now() - start;
    least = Math.min(least, time);
    spent += time;
  }
  return least;
}

/** The request for its first images and its first target only; the arrays are views. */
function beginningOf(request: MapRequest, count: number): MapRequest {
  const images = Math.min(count, request.images);
  const first = (array: Float32Array) => array.subarray(0, (array.length / request.images) * images);
  const { moments, weights } = request;
  return {
    ...request,
    images,
    activations: first(request.activations),
    gradients: request.gradients.slice(0, 1).map(first),
    weights: weights?.slice(0, 1).map(first),
    moments: moments && {
      mean: first(moments.mean),
      variance: first(moments.variance),
      third: first(moments.third),
    },
  };
}
