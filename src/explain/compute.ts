import { GradcamppError } from '../errors.js';
import type { Scores } from '../graph/scores.js';
import type { Preprocessing } from '../image/preprocess.js';
import { regions } from '../image/regions.js';
import type { ClassName } from '../image/sidecar.js';
import type { OpenedBackend } from '../map/open.js';
import { firstNotFinite, sizeOf, type Tensor } from '../tensor.js';
import type { Explanation, TargetExplanation } from './explanation.js';
import { guidedPass, guidedResult } from './guided.js';
import type { PreparedImage } from './input.js';
import { type LayerMaps, mapsOf } from './maps.js';
import { centredSeed, classMoments } from './moments.js';
import type { Differentiator, Forward } from './differentiator.js';
import type { Network } from './network.js';
import type { Settings, Variant } from './options.js';
import { probabilitiesOf } from './probabilities.js';
import { outputOf, type Seed, seedsOf, type Target } from './targets.js';

/** What an explainer has opened. */
export interface Context {
  readonly network: Network;
  readonly scores: Scores;
  readonly layers: readonly string[];
  readonly classes: readonly ClassName[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
  readonly backend: OpenedBackend;
}

/** Where time goes: milliseconds in the map stage. */
export interface Watch {
  map: number;
}

/**
 * Explains pictures of equal dims in one forward pass, and one backward pass for each target in turn. Objects that are
 * made for every picture are written out, here and in the map stage: one that is made by spreading another, or that has a
 * getter, can leave kilobytes of descriptions behind in the old part of the heap.
 */
export async function explainBatch(
  context: Context,
  batch: readonly PreparedImage[],
  targets: readonly (readonly Target[])[],
  settings: Settings,
  watch?: Watch,
): Promise<Explanation[]> {
  const images = stack(batch, context.network.fixedBatch);
  const outputs = new Set(targets.flat().map(outputOf));
  let explanations = batch.map(emptyExplanation);
  for (const output of outputs) {
    const own = targets.map((list) => list.filter((target) => outputOf(target) === output));
    explanations = await explainOutput(
      context,
      { batch, images, targets: own, settings, explanations, watch },
      output,
    );
  }
  return explanations;
}

/** Gradients that are held at the same time; their maps are computed in one request. */
const mostTargetsAtOnce = 8;

interface Job {
  readonly batch: readonly PreparedImage[];
  readonly images: Tensor<'float32'>;
  readonly targets: readonly (readonly Target[])[];
  readonly settings: Settings;
  readonly explanations: readonly Explanation[];
  readonly watch: Watch | undefined;
}

/** The targets that belong to one output, added to what is explained already. */
async function explainOutput(context: Context, job: Job, output: string | undefined): Promise<Explanation[]> {
  const { network, backend } = context;
  const { batch, settings } = job;
  const scores = output === undefined ? context.scores : network.scores(output);
  const classes = output === undefined ? context.classes : undefined;
  const differentiator = await differentiatorFor(context, scores, job.targets, settings);
  const forward = await differentiator.forward(job.images);
  const { count } = differentiator;
  const ownScores = batch.map((_, n) => forward.scores.slice(n * count, (n + 1) * count));
  const probabilities = ownScores.map((own) => probabilitiesOf(own, scores.link));
  checkFinite(forward.scores, batch, count);
  const seeds = batch.map((_, n) => seedsOf(job.targets[n], ownScores[n], classes));
  const added: TargetExplanation[][] = batch.map(() => []);
  const slots = Math.max(...seeds.map((list) => list.length));
  const moments =
    settings.variants.some(needsMoments) && slots > 0
      ? await classMoments(differentiator, forward)
      : undefined;
  const guided = settings.variants.some(({ method }) => method.startsWith('guided-'))
    ? await guidedPass(network, scores, job.images)
    : undefined;
  for (let first = 0; first < slots; first += mostTargetsAtOnce) {
    const group = Array.from({ length: Math.min(mostTargetsAtOnce, slots - first) }, (_, i) => first + i);
    const upstream = group.map((slot) => seedBatch(seeds, slot, count, forward.images));
    const gradients: Float32Array[][] = [];
    const centred: Float32Array[][] = [];
    const attributions: Float32Array[] = [];
    for (const [i, slot] of group.entries()) {
      gradients.push(await differentiator.backward(forward, upstream[i]));
      if (moments) centred.push(await centredGradients(differentiator, forward, seeds, slot));
      if (guided) attributions.push(await guided(upstream[i]));
    }
    const maps: (LayerMaps[] | undefined)[] = [];
    const since = performance.now();
    for (const variant of settings.variants)
      maps.push(
        needsMap(variant)
          ? await mapsOf(backend, {
              variant,
              forward,
              gradients: needsMoments(variant) ? centred : gradients,
              differentiator,
              moments: moments?.moments,
              size: mapSize(context, batch[0]),
            })
          : undefined,
      );
    if (job.watch) job.watch.map += performance.now() - since;
    batch.forEach((image, n) => {
      for (const [i, slot] of group.entries()) {
        const target = seeds[n][slot];
        if (!target) continue;
        settings.variants.forEach((variant, v) =>
          added[n].push(
            targetExplanation({
              context,
              image,
              n,
              target,
              scores: ownScores[n],
              probabilities: probabilities[n],
              variant,
              maps: maps[v]?.[i],
              attribution: attributions[i],
              epsilon: moments?.epsilon,
              settings,
            }),
          ),
        );
      }
    });
  }
  differentiator.release(forward);
  return job.explanations.map((explanation, n) => {
    const known = output === undefined || explanation.scores.length === 0;
    return {
      image: explanation.image,
      inputDims: explanation.inputDims,
      scores: known ? ownScores[n] : explanation.scores,
      probabilities: known ? probabilities[n] : explanation.probabilities,
      targets: [...explanation.targets, ...added[n]],
      picture: explanation.picture,
      geometry: explanation.geometry,
    };
  });
}

/** The sessions for some targets of one output. */
export async function differentiatorFor(
  { network, layers }: Pick<Context, 'network' | 'layers'>,
  scores: Scores,
  targets: readonly (readonly Target[])[],
  { variants }: Settings,
): Promise<Differentiator> {
  const isBestAlone = targets.every((list) =>
    list.every((target) => typeof target === 'object' && 'top' in target && target.top === 1),
  );
  const needsAll = variants.some(needsMoments);
  const best = isBestAlone && !needsAll ? await network.bestChannel(layers, scores) : undefined;
  return best ?? network.differentiator(layers, scores);
}

interface Piece {
  readonly context: Context;
  readonly image: PreparedImage;
  readonly n: number;
  readonly target: Seed;
  readonly scores: Float32Array;
  readonly probabilities: Float32Array | undefined;
  readonly variant: Required<Variant>;
  readonly maps: LayerMaps | undefined;
  readonly attribution: Float32Array | undefined;
  readonly epsilon: number | undefined;
  readonly settings: Settings;
}

function targetExplanation(piece: Piece): TargetExplanation {
  const { context, image, n, target, variant, maps, settings } = piece;
  const score = target.class === undefined ? dot(target.weights, piece.scores) : piece.scores[target.class];
  const probability = target.class === undefined ? undefined : piece.probabilities?.[target.class];
  const isPlusPlus = variant.method.endsWith('grad-cam++');
  const map = maps && part(maps.maps, n, sizeOf(maps.size));
  const dims = maps?.size ?? mapSize(context, image);
  const guided =
    piece.attribution && variant.method.startsWith('guided-')
      ? guidedResult(
          part(piece.attribution, n, image.tensor.length),
          map,
          image.dims,
          isChannelsLast(context),
        )
      : undefined;
  const data = guided?.map ?? (map as Float32Array);
  const empty = guided ? data.every((value) => value === 0) : (maps?.empty[n] ?? false);
  return {
    target: { class: target.class, name: target.name, score, probability },
    layers: maps ? context.layers : [context.network.image.name],
    method: variant.method,
    form: isPlusPlus ? variant.form : undefined,
    epsilon: needsMoments(variant) ? piece.epsilon : undefined,
    backend: maps?.backend,
    map: {
      data,
      dims,
      empty,
      logScale: logScale(variant, score, probability),
      bounds: dims.length === 2 && !empty ? regions(data, dims, { threshold: settings.threshold }) : [],
    },
    raw: maps && { data: part(maps.raw, n, sizeOf(maps.rawDims)), dims: maps.rawDims },
    attribution: guided?.attribution,
  };
}

/** What `raw` leaves out: e^S (exp form) or p_c (softmax form). */
function logScale(
  { method, form }: Required<Variant>,
  score: number,
  probability: number | undefined,
): number {
  if (!method.endsWith('grad-cam++')) return 0;
  return form === 'exp' ? score : Math.log(probability ?? 1);
}

function needsMoments({ method, form }: Variant): boolean {
  return method.endsWith('grad-cam++') && form === 'softmax';
}

function needsMap({ method }: Variant): boolean {
  return method !== 'guided-backprop';
}

/** d = g^c − μ of one target of every picture. */
async function centredGradients(
  differentiator: Differentiator,
  forward: Forward,
  seeds: readonly (readonly Seed[])[],
  slot: number,
): Promise<Float32Array[]> {
  const { count } = differentiator;
  const data = new Float32Array(forward.images * count);
  seeds.forEach((list, n) => {
    const target = list[slot];
    if (!target) return;
    if (target.class === undefined)
      throw new GradcamppError(
        'INVALID_TARGET',
        `The softmax form explains the probability of one class; received the combination "${target.name}". Use form exp.`,
      );
    data.set(centredSeed(forward.scores.subarray(n * count, (n + 1) * count), target.class), n * count);
  });
  return differentiator.backward(forward, data);
}

/** Spatial dims of the network's input. */
function mapSize(context: Context, { dims }: PreparedImage): number[] {
  return isChannelsLast(context) ? dims.slice(0, -1) : dims.slice(1);
}

function isChannelsLast({ preprocessing }: Context): boolean {
  return preprocessing?.layout === 'NHWC';
}

/** Pictures as one tensor; where the model's N is fixed the last is repeated to fill it. */
function stack(batch: readonly PreparedImage[], fixed: number | undefined): Tensor<'float32'> {
  const N = fixed ?? batch.length;
  const [{ tensor, dims }] = batch;
  const inPlace = N === batch.length && sideBySide(batch.map((image) => image.tensor));
  if (inPlace) return { type: 'float32', dims: [N, ...dims], data: inPlace };
  const data = new Float32Array(N * tensor.length);
  for (let n = 0; n < N; n++) data.set(batch[Math.min(n, batch.length - 1)].tensor, n * tensor.length);
  return { type: 'float32', dims: [N, ...dims], data };
}

/** One view over tensors that lie behind each other in memory, as parts of one batch do; else undefined. */
function sideBySide(tensors: readonly Float32Array[]): Float32Array | undefined {
  const [{ buffer, byteOffset, byteLength, length }] = tensors;
  const isRow = tensors.every(
    (tensor, n) =>
      tensor.buffer === buffer &&
      tensor.byteOffset === byteOffset + n * byteLength &&
      tensor.length === length,
  );
  return isRow ? new Float32Array(buffer, byteOffset, tensors.length * length) : undefined;
}

/** The slot-th seed of every picture; zeros for pictures that have fewer targets. */
function seedBatch(
  seeds: readonly (readonly Seed[])[],
  slot: number,
  count: number,
  images: number,
): Float32Array {
  const data = new Float32Array(images * count);
  seeds.forEach((list, n) => {
    if (list[slot]) data.set(list[slot].weights, n * count);
  });
  return data;
}

function emptyExplanation({ path, picture, dims, geometry }: PreparedImage): Explanation {
  return {
    image: { path, width: picture?.width, height: picture?.height },
    inputDims: dims,
    scores: new Float32Array(0),
    targets: [],
    picture,
    geometry,
  };
}

function checkFinite(scores: Float32Array, batch: readonly PreparedImage[], count: number): void {
  const bad = firstNotFinite(scores);
  const image = batch[Math.floor(bad / count)];
  if (!image) return;
  throw new GradcamppError(
    'RUNTIME',
    `The model gives score ${scores[bad]} for class ${bad % count}${image.path ? ` of "${image.path}"` : ''}; only finite scores can be explained. Check the preprocessing.`,
  );
}

/** The n-th of equal parts, as an array of its own. */
function part(data: Float32Array, n: number, size: number): Float32Array {
  if (data.length === size) return data;
  return data.slice(n * size, (n + 1) * size);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== 0) sum += a[i] * b[i];
  return sum;
}
