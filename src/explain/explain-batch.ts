import { GradcamppError } from '../errors.js';
import type { Layer } from '../graph/layers.js';
import type { Scores } from '../graph/scores.js';
import type { Preprocessing } from '../image/preprocess.js';
import type { ClassName } from '../image/sidecar.js';
import type { OpenedBackend } from '../map/open-backend.js';
import { methodNamed, needsOf } from '../methods/index.js';
import type { Need } from '../methods/common/method.js';
import { type Facts, type Goal, isOfScores, type Row } from '../targets/target.js';
import { goalsOf, outputOf, readsOf, type Target } from '../targets/index.js';
import { probabilitiesOf } from '../targets/common/probabilities.js';
import { firstNotFinite, sizeOf, type Tensor } from '../tensor.js';
import { unwatched, type Watch } from '../watch.js';
import { type Augmentation, augmentationsOf, augmented, meanOf } from './augmented.js';
import { fitting, variantsOf } from './automatic-method.js';
import { attentionPass } from './attention-values.js';
import { type Answer, answersOf, checkMethods, isOfLayers, type Question } from './answers.js';
import { type Batch, TargetEvidence } from './target-evidence.js';
import { type OnStep, Progress } from './progress.js';
import { factsOfMap } from './map-facts.js';
import type { Explanation, TargetExplanation } from './explanation.js';
import type { Feeds } from './feeds.js';
import type { SelfAttention } from '../graph/self-attention.js';
import type { TokenGrid } from '../graph/tokens.js';
import type { Wanted } from './layout.js';
import { type Head, headBehind } from './head.js';
import type { PreparedImage } from './input.js';
import { classMoments } from './moments.js';
import type { Network } from './network.js';
import type { MethodSettings, Settings } from './explain-options.js';
import type { Differentiator, Passes } from './passes.js';
import { rowsOf } from './rows.js';
import { staysOnGpu } from './stays-on-gpu.js';

/** What an explainer has opened. */
export interface Context {
  readonly network: Network;
  readonly scores: Scores;
  readonly layers: readonly (Wanted & Pick<Layer, 'dims'>)[];
  /** Why there is no layer. */
  readonly layerProblem: GradcamppError | undefined;
  readonly classes: readonly ClassName[] | undefined;
  readonly preprocessing: Preprocessing | undefined;
  readonly backend: OpenedBackend;
  readonly feeds: Feeds;
  /** Which axis of a picture's input holds the channels; −1: none. */
  readonly channelAxis: number;
  /** Where the patches of tokens lie, if the model does not tell it. */
  readonly tokens: TokenGrid | undefined;
  /** Values of the network that explanations hold beside the maps. */
  readonly reads?: readonly string[];
}

/** Pictures of equal dims that go through the network together. */
export interface Pictures {
  readonly images: readonly PreparedImage[];
  /** Of each. */
  readonly targets: readonly (readonly Target[])[];
  /** The number of the first one among all pictures of the call, and how many these are. */
  readonly start: number;
  readonly total: number;
}

/** Targets whose gradients are held at the same time; their maps are computed in one request. */
const mostTargetsAtOnce = 8;

/** Explains pictures in one forward pass an output, and what each target and method needs beside. */
export async function explainBatch(
  context: Context,
  pictures: Pictures,
  settings: Settings,
  { watch = unwatched, onStep }: { watch?: Watch; onStep?: OnStep } = {},
): Promise<Explanation[]> {
  const ownOutput = (target: Target) => otherOutput(context, outputOf(target));
  const outputs = new Set(pictures.targets.flat().map(ownOutput));
  const progress = new Progress(onStep);
  const found: Found[][] = pictures.images.map(() => []);
  for (const output of outputs) {
    const targets = pictures.targets.map((list) => list.filter((target) => ownOutput(target) === output));
    const parts = { ...pictures, targets };
    const own = await explainOutput(context, parts, settings, { output, watch, progress });
    for (const [n, one] of own.entries()) found[n].push(one);
  }
  return pictures.images.map((image, n) => explanationFrom(image, found[n], pictures.targets[n]));
}

/** The output that a target names, where it is another than the model's scores. */
function otherOutput({ network, scores }: Context, output: string | undefined): string | undefined {
  return output === undefined || network.scores(output).info.name === scores.info.name ? undefined : output;
}

/** What one output adds to a picture's explanation. */
interface Found {
  readonly output: string | undefined;
  readonly row: Row;
  readonly probabilities: Float32Array | undefined;
  readonly targets: readonly FoundTarget[];
  readonly values: ReadonlyMap<string, Row> | undefined;
}

interface FoundTarget {
  readonly target: Target;
  readonly explained: TargetExplanation;
}

/** The targets of all outputs in the order asked for; the scores are the model's, or those of the first output that was named. */
export function explanationFrom(
  { path, picture, dims, geometry, frames, frameSize, clip, sound }: PreparedImage,
  found: readonly Found[],
  asked: readonly Target[],
): Explanation {
  const { row, probabilities, values } = found.find(({ output }) => output === undefined) ?? found[0];
  const targets = found.flatMap((own) => own.targets);
  const shown = picture ?? frameSize;
  if (found.length > 1) targets.sort((a, b) => asked.indexOf(a.target) - asked.indexOf(b.target));
  return {
    image: { path, width: shown?.width, height: shown?.height, frames: picture?.frames, clip },
    inputDims: dims,
    scores: row.data,
    scoreDims: row.dims,
    probabilities,
    targets: targets.map(({ explained }) => explained),
    picture,
    geometry,
    ...(frames ? { frames, sound } : {}),
    ...(values ? { values } : {}),
  };
}

/** The targets that are found in one output. */
async function explainOutput(
  context: Context,
  pictures: Pictures,
  given: Settings,
  { output, watch, progress }: { output?: string; watch: Watch; progress: Progress },
): Promise<Found[]> {
  const scores = output === undefined ? context.scores : context.network.scores(output);
  const classes = output === undefined ? context.classes : undefined;
  const ready = await openFor(context, scores, given, pictures.targets.flat());
  const batch = await forwardPass(context, pictures, ready.settings, { ...ready, progress, watch });
  try {
    return await explainRows(context, pictures, { ...ready, batch, scores, classes, output });
  } finally {
    releaseBatch(batch); // what is on a GPU is nobody's else
  }
}

/** The same once the forward pass is done. */
export async function explainRows(
  context: Context,
  pictures: Pictures,
  own: Ready & {
    readonly batch: Batch;
    readonly scores: Scores;
    readonly classes: readonly ClassName[] | undefined;
    readonly output: string | undefined;
  },
): Promise<Found[]> {
  const { images } = pictures;
  const { batch, scores, classes, output, settings } = own;
  const { progress, watch } = batch;
  checkFinite(batch.rows, images);
  const rows = await Promise.all(images.map(({ judged }, n) => judged?.(scores) ?? batch.rows[n]));
  const goals = images.map((_, n) =>
    goalsOf(pictures.targets[n], rows[n], factsOf(batch, n, scores, classes)),
  );
  const methods = variantsOf(
    settings.variants,
    goals.flat().map(({ goal }) => goal),
  );
  const slots = Math.max(...goals.map((list) => list.length));
  const needsMoments = neededBy(settings.variants).has('moments');
  const areClasses = slots > 0 && goals.flat().every(({ goal }) => goal.place !== undefined);
  const moments = needsMoments && areClasses ? await momentsOf(batch) : undefined;
  const values = valuesOf(context.reads, batch);
  const found: FoundTarget[][] = images.map(() => []);
  for (let first = 0; first < slots; first += mostTargetsAtOnce) {
    const group = Array.from({ length: Math.min(mostTargetsAtOnce, slots - first) }, (_, i) => first + i);
    const questionOf = (of: Batch, own = moments): Question => ({
      backend: context.backend,
      batch: of,
      targets: TargetEvidence.of(
        of,
        group.map((slot) => goals.map((list) => list[slot]?.goal)),
      ),
      moments: own,
      combine: settings.combine,
      eachLayer: settings.eachLayer,
    });
    const question = questionOf(batch);
    const answers: Answer[][] = [];
    for (const variant of methods.all) answers.push(await answersOf(question, variant));
    const again = async (augmentation: Augmentation): Promise<Again> => {
      const altered = changed(context, pictures, augmentation);
      const other = await forwardPass(context, altered, settings, { ...own, progress, watch });
      const moved = moments && (await momentsOf(other));
      return { question: questionOf(other, moved), release: () => releaseBatch(other) };
    };
    await takeMeans(answers, { ...settings, variants: methods.all }, batch, again);
    for (const n of images.keys())
      for (const [t, slot] of group.entries()) {
        const asked = goals[n][slot];
        if (!asked) continue;
        const { goal, target } = asked;
        for (const v of methods.of(goal)) {
          const { each, ...whole } = answers[v][t];
          const variant = methods.all[v];
          for (const [layer, answer] of (each ?? [whole]).entries()) {
            const own = { answer, layer: each && layer, n, row: rows[n] };
            const explained = explanationOf({ context, settings, variant, goal, output, moments, ...own });
            const isOfIt = settings.evidence && isOfLayers(methodNamed(variant.method));
            const evidence = isOfIt ? await evidenceOf(batch, question.targets[t], { n, layer }) : undefined;
            found[n].push({ target, explained: evidence ? { ...explained, evidence } : explained });
          }
        }
      }
    for (const target of question.targets) await target.release();
  }
  return images.map((_, n) => ({
    ...rowFound(rows[n], output, scores),
    targets: found[n],
    values: values?.[n],
  }));
}

/** What one output says of a picture. */
export function rowFound(
  row: Row,
  output: string | undefined,
  { link }: Pick<Scores, 'link'>,
): Omit<Found, 'targets' | 'values'> {
  const probabilities = isOfScores(row.dims) ? probabilitiesOf(row.data, link) : undefined;
  return { output, row, probabilities };
}

/** Copies of what a map is made of, which outlive the batch. */
async function evidenceOf(
  { forward, passes }: Batch,
  target: TargetEvidence,
  { n, layer }: { readonly n: number; readonly layer: number },
): Promise<TargetExplanation['evidence']> {
  const dims = forward.dims[layer]?.slice(1);
  if (!dims) return undefined;
  const own = (data: Float32Array) => data.slice(n * sizeOf(dims), (n + 1) * sizeOf(dims));
  const gradients = 'backward' in passes ? own(await target.at(layer).gradients()) : undefined;
  return { dims, activations: own(forward.activations[layer]), gradients };
}

function momentsOf({ passes, forward, watch }: Batch) {
  return watch.during('backward', () => classMoments(passes as Differentiator, forward));
}

/** The values that are wanted beside the maps, picture by picture. */
function valuesOf(
  reads: readonly string[] | undefined,
  { forward, images }: Batch,
): Map<string, Row>[] | undefined {
  const rows = reads?.map((name) => [name, rowsOf(forward.results[name], images)] as const);
  return rows && Array.from({ length: images }, (_, n) => new Map(rows.map(([name, own]) => [name, own[n]])));
}

/** What explaining targets in one output takes, whatever the pictures. */
interface Ready {
  /** As they fit the network. */
  readonly settings: Settings;
  readonly heads: readonly Head[];
  readonly attention: AskedAttention | undefined;
  readonly passes: Passes;
}

/**
 * Opens what the methods need.
 *
 * @throws GradcamppError UNSUPPORTED_MODEL, INVALID_OPTION where one of them does not explain this network
 */
export async function openFor(
  context: Pick<Context, 'network' | 'layers' | 'layerProblem' | 'tokens' | 'reads' | 'backend'>,
  scores: Scores,
  given: Settings,
  targets: readonly Target[],
): Promise<Ready> {
  const settings = await fitting(context, scores, given, targets);
  const heads = headsFor(context, scores, settings);
  const attention = attentionFor(context, scores, settings);
  const reads = [...readsOf(targets), ...(context.reads ?? []), ...heads.flatMap(({ crossing }) => crossing)];
  if (attention && !attention.needsGradients) reads.push(...attention.names);
  const passes = (await staysOnGpu(context, settings))
    ? await context.network.held(context.layers, scores, reads)
    : await passesFor(context, scores, settings, reads);
  checkMethods(context.layers, passes, settings);
  return { settings, heads, attention, passes };
}

/** A batch of changed pictures, asked the same. */
interface Again {
  readonly question: Question;
  readonly release: () => void;
}

/** Puts the mean over pictures changed by `aug` in place of the answers of methods that ask for it. */
async function takeMeans(
  answers: Answer[][],
  { variants }: Settings,
  { size, rows, images }: Batch,
  again: (augmentation: Augmentation) => Promise<Again>,
): Promise<void> {
  const asking = [...variants.keys()].filter((v) => variants[v].modifiers.aug);
  if (asking.length === 0) return;
  const others = variants.map(() => [] as { answers: Answer[]; isMirrored: boolean }[]);
  for (const augmentation of augmentationsOf(size, rows)) {
    const { question, release } = await again(augmentation);
    for (const v of asking)
      others[v].push({
        answers: await answersOf(question, variants[v]),
        isMirrored: augmentation.isMirrored,
      });
    release();
  }
  for (const v of asking)
    answers[v] = answers[v].map((own, t) =>
      meanOf(
        own,
        others[v].map((other) => ({ answer: other.answers[t], isMirrored: other.isMirrored })),
        images,
      ),
    );
}

function changed(
  { network, channelAxis }: Context,
  pictures: Pictures,
  augmentation: Augmentation,
): Pictures {
  const { type } = network.original;
  return {
    ...pictures,
    images: pictures.images.map((image) => augmented(image, augmentation, { channelAxis, type })),
  };
}

export function releaseBatch({ attention, passes, forward }: Batch): void {
  attention?.release();
  passes.release(forward);
}

/** The passes that the methods, which fit the network, need: with gradients, or forward alone. */
function passesFor(
  { network, layers, layerProblem }: Pick<Context, 'network' | 'layers' | 'layerProblem'>,
  scores: Scores,
  { variants }: Pick<Settings, 'variants'>,
  reads: readonly string[] = [],
): Promise<Passes> {
  const needs = neededBy(variants);
  if (layerProblem && (needs.has('activations') || needs.has('gradients'))) throw layerProblem;
  if (needs.has('gradients')) return network.differentiator(layers, scores, { reads });
  return network.forward(needs.has('activations') ? layers : [], scores, reads);
}

/** The network behind each layer, where a method runs it alone. */
function headsFor(
  { network, layers }: Pick<Context, 'network' | 'layers'>,
  scores: Scores,
  { variants }: Settings,
): Head[] {
  const needs = neededBy(variants);
  if (!needs.has('head passes') && !needs.has('second derivatives')) return [];
  return layers.map((layer) => headBehind(network.graph, network.image.name, layer.name, scores));
}

interface AskedAttention extends SelfAttention {
  readonly needsGradients: boolean;
}

/** The attention that methods ask for. */
function attentionFor(
  { network, tokens }: Pick<Context, 'network' | 'tokens'>,
  scores: Scores,
  { variants }: Settings,
): AskedAttention | undefined {
  const needs = neededBy(variants);
  const needsGradients = needs.has('attention gradients');
  if (!needsGradients && !needs.has('attention')) return undefined;
  return { ...network.selfAttention(scores, tokens), needsGradients };
}

function neededBy(variants: readonly MethodSettings[]): Set<Need> {
  return new Set(variants.flatMap(({ method, settings }) => needsOf(methodNamed(method), settings as never)));
}

/** Changed pictures that go through the network together, where the caller asks for no larger batches: more leave the caches. */
const leastPassSize = 2;

export async function forwardPass(
  context: Context,
  pictures: Pictures,
  settings: Settings,
  {
    passes,
    heads,
    progress,
    watch,
    attention,
  }: Pick<Batch, 'passes' | 'heads' | 'progress' | 'watch'> & {
    readonly attention: AskedAttention | undefined;
  },
): Promise<Batch> {
  const { network, feeds, channelAxis } = context;
  const { images, start, total } = pictures;
  const input = stack(images, network.fixedBatch);
  const [N] = input.dims;
  const others = feeds.of(start, images.length, total, N);
  const whole = { ...others, [network.image.name]: input };
  const forward = await watch.during('forward', () => passes.forward(whole));
  const dims = input.dims.slice(1);
  return {
    network,
    scores: passes.scores,
    passes,
    forward,
    images: N,
    names: Array.from({ length: N }, (_, n) => images[n]?.path ?? String(start + n)),
    input,
    rows: rowsOf(forward.scores, N),
    size: dims.filter((_, axis) => axis !== channelAxis),
    channelAxis,
    feeds: others,
    feedsOf: (image, count) => feeds.of(start + image, 1, total, count),
    passSize: Math.max(settings.batchSize, leastPassSize),
    heads,
    attention:
      attention &&
      (await attentionPass(network, passes.scores, attention, {
        feeds: whole,
        forward,
        needsGradients: attention.needsGradients,
        watch,
      })),
    progress,
    watch,
  };
}

export function factsOf(
  { forward, images, size, channelAxis }: Batch,
  n: number,
  { link }: Scores,
  classes: readonly ClassName[] | undefined,
): Facts {
  return {
    classes,
    link,
    size,
    channelsLast: channelAxis > 0,
    output: (name) => rowsOf(forward.results[name], images)[n],
  };
}

interface Piece {
  readonly context: Context;
  readonly settings: Settings;
  readonly variant: MethodSettings;
  readonly goal: Goal;
  /** The output that it was found in, where it is not the model's scores. */
  readonly output: string | undefined;
  readonly row: Row;
  /** The picture's place in the batch. */
  readonly n: number;
  /** Where each layer has a map of its own: its number. */
  readonly layer: number | undefined;
  readonly answer: Answer;
  readonly moments: { readonly epsilon: number } | undefined;
}

/** What a target is and is worth. */
export function targetOf(goal: Goal, row: Row, output: string | undefined): TargetExplanation['target'] {
  const { class: own, name, kind, box } = goal;
  return {
    class: own,
    name,
    kind,
    output,
    score: goal.value(row),
    probability: goal.probability?.(row),
    box,
  };
}

function explanationOf({
  context,
  settings,
  variant,
  goal,
  output,
  row,
  n,
  layer,
  answer,
  moments,
}: Piece): TargetExplanation {
  const method = methodNamed(variant.method);
  const layers = layer === undefined ? context.layers : [context.layers[layer]];
  const score = goal.value(row);
  const probability = goal.probability?.(row);
  const { size: dims } = answer;
  const data = part(answer.maps, n, sizeOf(dims));
  const empty = answer.empty[n];
  const logScale = variant.modifiers.compat === undefined && 'logScale' in method && method.logScale;
  const usesMoments = needsOf(method, variant.settings as never).includes('moments');
  return {
    target: targetOf(goal, row, output),
    layers:
      answer.of ?? (isOfLayers(method) ? layers.map(({ name }) => name) : [context.network.original.name]),
    combine: isOfLayers(method) && layers.length > 1 ? settings.combine : undefined,
    method: variant.method,
    instead: variant.instead,
    settings: { ...variant.settings, ...variant.modifiers },
    epsilon: usesMoments ? moments?.epsilon : undefined,
    backend: answer.backend,
    facts: answer.facts?.[n],
    map: {
      data,
      dims,
      empty,
      emptyBecause: empty ? method.whyEmpty?.({ score, probability }, variant.settings as never) : undefined,
      logScale: logScale && answer.raw ? logScale({ score, probability }, variant.settings as never) : 0,
      ...factsOfMap({ data, dims, empty }, settings.threshold),
    },
    raw: answer.raw &&
      answer.rawDims && { data: part(answer.raw, n, sizeOf(answer.rawDims)), dims: answer.rawDims },
    attribution: answer.attribution && {
      data: part(answer.attribution, n, answer.attribution.length / (answer.maps.length / sizeOf(dims))),
      dims: context.network.image.dims === undefined ? dims : attributionDims(answer, context, dims),
    },
  };
}

/** Dims of one picture's input: those of the map, and the channels where there are any. */
function attributionDims(
  answer: Answer,
  { channelAxis }: Context,
  size: readonly number[],
): readonly number[] {
  if (channelAxis < 0) return size;
  const channels = (answer.attribution?.length ?? 0) / answer.maps.length;
  return [...size.slice(0, channelAxis), channels, ...size.slice(channelAxis)];
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

function checkFinite(rows: readonly Row[], images: readonly PreparedImage[]): void {
  for (const [n, { path }] of images.entries()) {
    const { data, dims } = rows[n];
    const bad = firstNotFinite(data);
    if (bad < 0) continue;
    const where = isOfScores(dims) ? `score ${data[bad]} for class ${bad}` : `the value ${data[bad]}`;
    throw new GradcamppError(
      'RUNTIME',
      `The model gives ${where}${path ? ` of "${path}"` : ''}; only finite scores can be explained. Check the preprocessing.`,
    );
  }
}

/** The n-th of equal parts, as an array of its own. */
function part(data: Float32Array, n: number, size: number): Float32Array {
  if (data.length === size) return data;
  return data.slice(n * size, (n + 1) * size);
}
