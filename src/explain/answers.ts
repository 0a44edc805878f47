import { GradcamppError } from '../errors.js';
import type { Layer } from '../graph/layers.js';
import { type BackendName, mapMethods, type MapMethod, type MapSettings } from '../map/backend.js';
import {
  checkRequest,
  type ComputedMaps,
  computeMaps,
  defaultSettings,
  type MapInput,
  notFinite,
} from '../map/compute.js';
import type { OpenedBackend } from '../map/open-backend.js';
import type { HeldMaps } from '../map/webgpu/held.js';
import type { Form } from '../methods/grad-cam++.js';
import { type PeerName, peers } from '../methods/compat/index.js';
import type { Peer, PeerMaps, PeerSettings } from '../methods/compat/peer.js';
import { methodNamed, needsOf, peerMethodOf } from '../methods/index.js';
import type {
  AnyMethod,
  ChannelMethod,
  InputMethod,
  LayerMap,
  LayerMethod,
  Moments,
  PositionMethod,
} from '../methods/common/method.js';
import { firstPrincipalMap } from '../methods/eigen-grad-cam.js';
import { channelWeights, pooledWeights } from '../methods/common/weights.js';
import { type GpuTensor, sizeOf } from '../tensor.js';
import type { Batch, TargetEvidence } from './target-evidence.js';
import { KeptRows } from './changed.js';
import { centredSeed, type ClassMoments } from './moments.js';
import type { MethodSettings, Settings } from './explain-options.js';
import type { Differentiator, HeldForward, Passes } from './passes.js';

/** Maps of one target and method for a batch. */
export interface Answer {
  /** Of all layers together, [N, …size], in 0…1. */
  readonly maps: Float32Array;
  readonly size: readonly number[];
  /** Of the first layer before upsampling and normalisation, [N, …layer]. */
  readonly raw?: Float32Array;
  readonly rawDims?: readonly number[];
  /** Whether every layer's map is empty, [N]. */
  readonly empty: readonly boolean[];
  readonly backend?: BackendName;
  /** What it was made of, where that is not the explained layers. */
  readonly of?: readonly string[];
  /** [N, …inputDims]. */
  readonly attribution?: Float32Array;
  /** Facts worth keeping of each picture. */
  readonly facts?: readonly Readonly<Record<string, number>>[];
  /** Where each of several layers has a map of its own: these. */
  readonly each?: readonly Answer[];
}

/** What answers are computed with. */
export interface Question {
  readonly backend: OpenedBackend;
  readonly batch: Batch;
  readonly targets: readonly TargetEvidence[];
  readonly moments: ClassMoments | undefined;
  readonly combine: Settings['combine'];
  readonly eachLayer: boolean;
}

/** One method's answer for each target. */
export async function answersOf(question: Question, variant: MethodSettings): Promise<Answer[]> {
  const method = methodNamed(variant.method);
  if (variant.modifiers.compat !== undefined)
    return ofPeer(question, method, variant, variant.modifiers.compat);
  switch (method.kind) {
    case 'channel':
    case 'position':
      return ofGradients(question, method, variant);
    case 'layer':
      return ofLayer(question, method, variant);
    case 'input':
      return ofInput(question, method, variant);
  }
}

/**
 * Says why a method does not explain the layers, which is known before any picture is.
 *
 * @throws GradcamppError UNSUPPORTED_MODEL, INVALID_OPTION
 */
export function checkMethods(
  layers: readonly Pick<Layer, 'name' | 'dims'>[],
  passes: Passes,
  { variants, combine }: Pick<Settings, 'variants' | 'combine'>,
): void {
  for (const { method: name, modifiers } of variants) {
    const method = methodNamed(name);
    if (!isOfLayers(method)) continue;
    if (modifiers.compat !== undefined) checkPeer(modifiers.compat, layers, combine);
    for (const layer of passes.wrt.keys()) refuse(method, passes as Differentiator, layer);
  }
}

function checkPeer(
  compat: PeerName,
  layers: readonly Pick<Layer, 'name' | 'dims'>[],
  combine: Settings['combine'],
): void {
  const refusal = (what: string, advice: string) =>
    new GradcamppError('INVALID_OPTION', `"compat" ${compat} ${what}. Leave it out, or ${advice}.`);
  const { axes, merge }: Peer = peers[compat];
  for (const { name, dims } of layers) {
    const rank = dims.length - 2;
    if (!axes.includes(rank))
      throw refusal(
        `explains layers of ${axes.join(' or ')} axes; ${JSON.stringify(name)} has ${rank}`,
        'name another layer',
      );
  }
  if (layers.length > 1 && !merge)
    throw refusal(`explains one layer; received ${layers.length}`, 'name one layer');
  if (layers.length > 1 && combine !== 'mean')
    throw refusal(
      `takes the mean of several layers; received "combine" ${combine}`,
      'name one layer or "combine" mean',
    );
}

/** Methods whose weights follow from gradients: one request a layer, all targets at once. */
async function ofGradients(
  question: Question,
  method: ChannelMethod | PositionMethod,
  variant: MethodSettings,
): Promise<Answer[]> {
  if ('isHeld' in question.batch.passes)
    return combined(question, await heldResults(question, method, variant));
  const { backend, batch, targets } = question;
  const passes = batch.passes as Differentiator;
  const isSoftmax = needsOf(method, variant.settings as never).includes('moments');
  const gradients: Float32Array[][] = [];
  for (const target of targets)
    gradients.push(
      isSoftmax
        ? await target.gradientsOf('centred', () => centred(batch, target))
        : await target.gradients(),
    );
  // Scores are finite (checked before). Behind a linear head they are sums over all activations, so these are too.
  const isFinite = passes.isConstant && passes.isPooled.every(Boolean);
  const results = await Promise.all(
    passes.wrt.map((_, layer) => {
      const own = gradients.map((layers) => layers[layer]);
      const moments = isSoftmax ? question.moments?.moments[layer] : undefined;
      const request = gradientRequest({ batch, method, variant, layer, gradients: own, moments });
      return batch.watch.during('map', () => computeMaps(backend, modified(request, variant), { isFinite }));
    }),
  );
  return combined(question, results);
}

/** The same where activations and gradients are on the GPU: of each layer one dispatch, and its maps are read. */
async function heldResults(
  { batch, targets }: Question,
  method: ChannelMethod | PositionMethod,
  variant: MethodSettings,
): Promise<ComputedMaps[]> {
  const results: ComputedMaps[] = [];
  for (const layer of batch.passes.wrt.keys()) {
    const maps = await heldMaps(batch, targets, { layer, method: method.name as MapMethod, variant });
    try {
      results.push({ ...(await maps.read()), backend: 'webgpu', reason: 'the network runs on the GPU' });
    } finally {
      maps.release();
    }
  }
  return results;
}

/** Maps of a layer that stay on the GPU. */
export async function heldMaps(
  batch: Batch,
  targets: readonly TargetEvidence[],
  { layer, method, variant }: { layer: number; method: MapMethod; variant: Pick<MethodSettings, 'settings'> },
): Promise<HeldMaps> {
  const { dims, held, images } = batch.forward as HeldForward;
  const gradients: GpuTensor[] = [];
  for (const target of targets) gradients.push((await target.heldGradients())[layer]);
  const grid = dims[layer].slice(2);
  const kernel = await batch.network.kernel();
  return batch.watch.during('map', () =>
    kernel.compute({
      ...settingsOfKernel(variant),
      method,
      images,
      layer: grid,
      size: batch.size.slice(batch.size.length - grid.length),
      activations: held[layer],
      gradients,
    }),
  );
}

/** A method's settings as the kernel takes them. */
function settingsOfKernel({ settings }: Pick<MethodSettings, 'settings'>): Omit<MapSettings, 'method'> {
  const { form, alphaNormalization, gradientRelu } = {
    ...defaultSettings,
    ...(settings as { form?: Form }),
  };
  return { form, alphaNormalization, gradientRelu };
}

interface GradientRequest {
  readonly batch: Batch;
  readonly method: ChannelMethod | PositionMethod;
  readonly variant: MethodSettings;
  readonly layer: number;
  /** Of each target. */
  readonly gradients: readonly Float32Array[];
  readonly moments: Moments | undefined;
}

function gradientRequest({ batch, method, variant, layer, gradients, moments }: GradientRequest): MapInput {
  const passes = batch.passes as Differentiator;
  const isPooled = passes.isPooled[layer];
  const common = layerRequest(batch, layer);
  const { activations } = common;
  const positions = sizeOf(common.layer);
  const settings = variant.settings as never;
  if (isPooled) {
    const weights = gradients.map((own) =>
      pooledWeights(method, { activations, gradients: own, positions, moments }, settings),
    );
    return { ...common, method: 'cam', weights };
  }
  if (!variant.modifiers.eigen && (mapMethods as readonly string[]).includes(method.name)) {
    const own = settingsOfKernel(variant);
    return { ...common, ...own, method: method.name as MapMethod, gradients, moments };
  }
  if (method.kind === 'position')
    return { ...common, method: 'hires-cam', gradients: gradients.map((own) => own.map(method.weight)) };
  const weights = gradients.map((own) =>
    channelWeights(method, { activations, gradients: own, positions, moments }, settings),
  );
  return { ...common, method: 'cam', weights };
}

/** Says why a method does not explain a layer, where it does not. */
function refuse(method: AnyMethod, { isPooled, isConstant }: Differentiator, layer: number): void {
  if (!('refuses' in method)) return;
  const why = method.refuses?.({ isPooled: isPooled[layer], isLinear: isConstant });
  if (why) throw new GradcamppError('UNSUPPORTED_MODEL', why);
}

function layerRequest({ forward, images, size }: Batch, layer: number) {
  const [, channels, ...dims] = forward.dims[layer];
  return {
    images,
    channels,
    layer: dims,
    size: size.slice(size.length - dims.length),
    activations: forward.activations[layer],
    gradients: [],
  };
}

/** d = g^c − μ, as an upstream gradient. */
function centred({ forward, rows }: Batch, { goals }: TargetEvidence): Float32Array {
  const data = new Float32Array(forward.scores.data.length);
  goals.forEach((goal, n) => {
    if (!goal) return;
    if (goal.place === undefined)
      throw new GradcamppError(
        'INVALID_TARGET',
        `The softmax form explains the probability of one class; received the ${goal.kind} "${goal.name}". Use form exp.`,
      );
    data.set(centredSeed(rows[n].data, goal.place), n * rows[n].data.length);
  });
  return data;
}

/** Methods that make a map of the layer's size themselves. */
async function ofLayer(question: Question, method: LayerMethod, variant: MethodSettings): Promise<Answer[]> {
  const { backend, batch, targets } = question;
  const results: ComputedMaps[] = [];
  const made: LayerMap[][] = [];
  for (const layer of isOfLayers(method) ? batch.passes.wrt.keys() : [0]) {
    const maps: LayerMap[] = [];
    const kept = keptFor(targets);
    const shared = method.hasTarget
      ? undefined
      : await method.map(targets[0].at(layer), variant.settings as never);
    for (const target of targets)
      maps.push(shared ?? (await method.map(target.at(layer, kept), variant.settings as never)));
    results.push(
      await batch.watch.during('map', () =>
        computeMaps(backend, modified(mapRequest(batch, layer, maps), variant)),
      ),
    );
    made.push(maps);
  }
  const withFacts = (answer: Answer, own: LayerMap): Answer => ({
    ...answer,
    facts: own.facts,
    rawDims: own.by === 'map' ? own.dims : answer.rawDims,
    of: own.by === 'map' ? own.of : undefined,
  });
  return combined(question, results).map((answer, t) => ({
    ...withFacts(answer, made[0][t]),
    each: answer.each?.map((own, layer) => withFacts(own, made[layer][t])),
  }));
}

/** Nothing is kept for a single target. */
function keptFor(targets: readonly TargetEvidence[]): KeptRows | undefined {
  return targets.length > 1 ? new KeptRows() : undefined;
}

/** All maps of a method are of one kind. A map itself is the sum of one channel, moved to start at 0 where it has no ReLU. */
function mapRequest(batch: Batch, layer: number, maps: readonly LayerMap[]): MapInput {
  const [first] = maps;
  if (first.by === 'channel') {
    const weights = (maps as (LayerMap & { by: 'channel' })[]).map((map) => map.weights);
    return { ...layerRequest(batch, layer), method: 'cam', weights };
  }
  if (first.by === 'position') {
    const gradients = (maps as (LayerMap & { by: 'position' })[]).map((map) => map.weights);
    return { ...layerRequest(batch, layer), method: 'hires-cam', gradients };
  }
  const { images, size } = batch;
  const { dims, relu } = first;
  return ofOneChannel(
    { images, layer: dims, size: size.slice(size.length - dims.length) },
    (maps as (LayerMap & { by: 'map' })[]).map(({ map }) =>
      relu ? Float32Array.from(map) : fromZero(map, images),
    ),
  );
}

/** Maps themselves, [N, …layer] each, as the sum of one channel. */
function ofOneChannel(
  { images, layer, size }: Pick<MapInput, 'images' | 'layer' | 'size'>,
  maps: Float32Array[],
): MapInput {
  const ones = new Float32Array(images * sizeOf(layer)).fill(1);
  return { images, channels: 1, layer, size, activations: ones, method: 'hires-cam', gradients: maps };
}

/** A sum of weighted channels, or with `eigen` their first principal map. */
function modified(request: MapInput, { modifiers }: MethodSettings): MapInput {
  if (!modifiers.eigen) return request;
  const bad = notFinite(checkRequest(request));
  if (bad) throw bad;
  const { images, channels, layer, activations, method, gradients, weights = [] } = request;
  const positions = sizeOf(layer);
  const size = channels * positions;
  const maps = (method === 'cam' ? weights : gradients).map((own) => {
    const step = method === 'cam' ? positions : 1; // a weight a channel, or one a position
    const weighted = activations.map((value, i) => value * own[Math.floor(i / step)]);
    const map = new Float32Array(images * positions);
    for (let n = 0; n < images; n++)
      map.set(firstPrincipalMap(weighted.subarray(n * size, (n + 1) * size), channels), n * positions);
    return map;
  });
  return ofOneChannel(request, maps);
}

/** Each picture's map minus its least value: upsampling and min–max normalisation do not see the difference. */
function fromZero(map: Float32Array | Float64Array, images: number): Float32Array {
  const size = map.length / images;
  const moved = new Float32Array(map.length);
  for (let n = 0; n < images; n++) {
    const own = map.subarray(n * size, (n + 1) * size);
    let least = Number.POSITIVE_INFINITY;
    for (const value of own) least = Math.min(least, value);
    for (let i = 0; i < size; i++) moved[n * size + i] = own[i] - least;
  }
  return moved;
}

/** The layers' maps as one, or each apart, for each target. */
function combined({ batch, combine, eachLayer }: Question, results: readonly ComputedMaps[]): Answer[] {
  const [first] = results;
  const ofOne = ({ maps, raw, empty, backend }: ComputedMaps, layer: number, target: number): Answer => ({
    maps: maps[target],
    size: batch.size,
    raw: raw[target],
    rawDims: batch.forward.dims[layer]?.slice(2),
    empty: Array.from(empty[target], (value) => value === 1),
    backend,
  });
  return first.maps.map((_, target) => {
    const own = ofOne(first, 0, target);
    if (results.length === 1) return own;
    if (eachLayer) return { ...own, each: results.map((result, layer) => ofOne(result, layer, target)) };
    const maps = combineMaps(
      results.map((result) => result.maps[target]),
      combine,
    );
    return { ...own, maps, empty: zerosOf(maps, batch.images) };
  });
}

/** Whether a picture's map is zero everywhere. */
function zerosOf(maps: Float32Array, images: number): boolean[] {
  const length = maps.length / images;
  return Array.from({ length: images }, (_, n) =>
    maps.subarray(n * length, (n + 1) * length).every((value) => value === 0),
  );
}

function combineMaps(maps: readonly Float32Array[], combine: Settings['combine']): Float32Array {
  if (maps.length === 1) return maps[0];
  return maps[0].map((_, i) => {
    const values = maps.map((map) => map[i]);
    if (combine === 'max') return Math.max(...values);
    if (combine === 'product') return values.reduce((product, value) => product * value, 1);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  });
}

/** Methods that give every input element a value. */
async function ofInput(question: Question, method: InputMethod, variant: MethodSettings): Promise<Answer[]> {
  const { batch, targets } = question;
  const times =
    method.times === undefined
      ? undefined
      : { method: method.times, settings: variant.settings, modifiers: {} };
  const factors = times && (await answersOf(question, times as MethodSettings));
  const answers: Answer[] = [];
  const kept = keptFor(targets);
  for (const [t, target] of targets.entries()) {
    const evidence = target.at(0, kept);
    const { values, facts } = await method.attribute(evidence, variant.settings as never);
    const attribution = factors ? multiplied(batch, values, factors[t].maps) : values;
    const { maps, empty } = await batch.watch.during('map', () => reduced(batch, attribution, method));
    answers.push({
      maps,
      size: batch.size,
      empty,
      attribution: attribution.length === batch.input.data.length ? attribution : undefined,
      facts,
      ...(factors ? { raw: factors[t].raw, rawDims: factors[t].rawDims, backend: factors[t].backend } : {}),
    });
  }
  return answers;
}

/** A method as another package has it. */
async function ofPeer(
  { batch, targets }: Question,
  method: AnyMethod,
  { settings, modifiers }: MethodSettings,
  compat: PeerName,
): Promise<Answer[]> {
  const { maps } = peerMethodOf(method, compat);
  const { merge }: Peer = peers[compat];
  const layers = isOfLayers(method) ? [...batch.passes.wrt.keys()] : [];
  const answers: Answer[] = [];
  for (const target of targets) {
    const made: PeerMaps[] = [];
    for (const layer of layers.length > 0 ? layers : [0])
      made.push(await maps(target.at(layer), { ...settings, ...modifiers } as PeerSettings));
    const all = made.map((own) => own.maps);
    const whole = merge ? merge(all, batch.images) : all[0];
    answers.push({
      maps: whole,
      size: batch.size,
      raw: made[0].raw,
      rawDims: made[0].raw && batch.forward.dims[0].slice(2),
      empty: zerosOf(whole, batch.images),
    });
  }
  return answers;
}

/** Where a picture's element lies in the map. */
function placeIn({ input, channelAxis }: Batch): { channels: number; place: (index: number) => number } {
  const dims = input.dims.slice(1);
  if (channelAxis < 0) return { channels: 1, place: (i) => i };
  const channels = dims[channelAxis];
  const inner = sizeOf(dims.slice(channelAxis + 1));
  return { channels, place: (i) => Math.floor(i / (inner * channels)) * inner + (i % inner) };
}

function multiplied(batch: Batch, values: Float32Array, maps: Float32Array): Float32Array {
  const { place, channels } = placeIn(batch);
  const length = values.length / batch.images;
  const size = length / channels;
  return values.map((value, i) => {
    const n = Math.floor(i / length);
    return value * maps[n * size + place(i - n * length)];
  });
}

/** An attribution's channels as one map in 0…1. */
function reduced(batch: Batch, values: Float32Array, method: InputMethod): Pick<Answer, 'maps' | 'empty'> {
  const size = sizeOf(batch.size);
  const length = values.length / batch.images;
  const { place } = length === size ? { place: (i: number) => i } : placeIn(batch);
  const maps = new Float32Array(batch.images * size);
  const empty: boolean[] = [];
  for (let n = 0; n < batch.images; n++) {
    const sum = new Float64Array(size);
    for (let i = 0; i < length; i++) {
      const value = values[n * length + i];
      const at = place(i);
      if (method.channels === 'sum') sum[at] += value;
      else if (method.channels === 'largest magnitude') sum[at] = Math.max(sum[at], Math.abs(value));
      else sum[at] += Math.abs(value);
    }
    empty.push(sum.every((value) => value === 0));
    const most = sum.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const least =
      method.scaled === 'maximum' ? 0 : sum.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    if (most > least) for (let i = 0; i < size; i++) maps[n * size + i] = (sum[i] - least) / (most - least);
    else if (most > 0) maps.fill(1, n * size, (n + 1) * size);
  }
  return { maps, empty };
}

/** Whether a method's answer is of the layers, or of the input alone. */
export function isOfLayers(method: AnyMethod): boolean {
  if (method.kind === 'input') return method.times !== undefined;
  return !method.needs.some((need) => need === 'attention' || need === 'attention gradients');
}
