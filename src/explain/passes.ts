import { appendGradient, type GradientOptions } from '../autodiff/walk.js';
import { type SplitGraph, splitAtSeed } from '../autodiff/split.js';
import { Names } from '../graph/builder.js';
import { type Graph, producers, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import type { Scores } from '../graph/scores.js';
import { release as releaseArrays } from '../memory.js';
import { DataType } from '../onnx/types.js';
import type { OutputInfo } from '../runtime/engine.js';
import { inferredInfo, type Session } from '../runtime/session.js';
import type { GpuTensor, Tensor } from '../tensor.js';
import { laidOut, type Wanted } from './layout.js';
import { certainAxes, repeated } from './repeated.js';
import { rowSize } from './rows.js';

/** What is kept of a forward pass. */
export interface Forward {
  /** The explained output, dims as the network gives them. */
  readonly scores: Tensor<'float32'>;
  /** A of each layer, laid out as [N, K, …grid]. */
  readonly activations: readonly Float32Array[];
  /** Dims of each, with N. */
  readonly dims: readonly (readonly number[])[];
  /** Each layer as the network has it. */
  readonly layers: readonly Tensor<'float32'>[];
  /** What the backward pass of any target needs. */
  readonly saved: Readonly<Record<string, Tensor>>;
  /** Every output of the session. */
  readonly results: Readonly<Record<string, Tensor>>;
  /** N. */
  readonly images: number;
}

/** A forward pass, and the backward pass behind it where gradients are wanted. */
export interface Passes {
  readonly scores: Scores;
  /** The layers, or the input. */
  readonly wrt: readonly Wanted[];
  /** `feeds` holds the pictures, [N, …], and the other inputs that the model needs. */
  forward(feeds: Readonly<Record<string, Tensor>>): Promise<Forward>;
  /** Frees the memory of a forward pass; its arrays must not be used afterwards. */
  release(forward: Forward): void;
}

/** Passes that give gradients. */
export interface Differentiator extends Passes {
  /** M, the number of scores of a picture; 0 where it is only known when the network runs. */
  readonly count: number;
  /** K of each layer. */
  readonly channels: readonly number[];
  /** N of the model, where it is fixed. */
  readonly batch: number | undefined;
  /** Whether the gradient is the same for every picture: the head is linear. */
  readonly isConstant: boolean;
  /** Whether a layer's gradient is the same at every position (global average pooling follows): then only [N, K]. */
  readonly isPooled: readonly boolean[];
  /** ∂(seed · S)/∂A of each layer, laid out as A, or [N, K] where it is pooled; `seed` has the dims of the scores. */
  backward(
    forward: Pick<Forward, 'saved' | 'images' | 'scores'>,
    seed: Float32Array,
  ): Promise<Float32Array[]>;
  /** The same for several seeds: of one picture in one pass, where all that it reads can be repeated. */
  backwardEach(
    forward: Pick<Forward, 'saved' | 'images' | 'scores'>,
    seeds: readonly Float32Array[],
  ): Promise<Float32Array[][]>;
}

/** Bytes of what a backward pass of several seeds reads, at most. */
const mostRepeated = 2 ** 28;

/** What passes are made of. */
export interface Source {
  readonly graph: Graph;
  readonly image: ValueInfo;
  readonly fixedBatch: number | undefined;
  readonly open: (graph: Graph, more?: { arena?: boolean; held?: readonly string[] }) => Promise<Session>;
}

/** A forward pass that also gives some layers and outputs. */
export async function openForward(
  { graph, image, open }: Source,
  layers: readonly Wanted[],
  scores: Scores,
  reads: readonly string[],
): Promise<Passes> {
  const wanted = [scores.info.name, ...layers.map(({ name }) => name), ...reads];
  const names = [...new Set(wanted)].filter((name) => name !== image.name);
  const session = await open(
    subgraph(
      graph,
      graph.inputs,
      names.map((name) => valueInfo(graph, name)),
    ),
  );
  return {
    scores,
    wrt: layers,
    forward: async (feeds) =>
      forwardOf(await session.run(feeds), feeds, { image, scores, layers, saved: [] }),
    release,
  };
}

/**
 * The forward and backward sessions for some layers (or the input) and an output. What every target shares is computed in
 * the forward one.
 */
export async function openDifferentiator(
  source: Source,
  layers: readonly Wanted[],
  scores: Scores,
  { rules = {}, reads = [] }: { rules?: NonNullable<GradientOptions['rules']>; reads?: readonly string[] },
): Promise<Differentiator> {
  const { image } = source;
  const { dims = [] } = scores.info;
  const { split, seedName } = splitGradient(source, layers, scores, { rules, reads });
  const forward = await source.open(split.forward);
  const infos = new Map(forward.outputs.map((info) => [info.name, inferredInfo(info)]));
  const inputs = split.backward.inputs.map((input) => infos.get(input.name) ?? input);
  const { session: backward, isPooled } = await openBackward(source, { ...split.backward, inputs }, layers);
  const isConstant = split.saved.length === 0;
  const count = rowSize(dims);
  const run: Differentiator['backward'] = async ({ saved, scores: own }, data) => {
    const results = await backward.run({ ...saved, [seedName]: { type: 'float32', dims: own.dims, data } });
    return backward.outputs.map(({ name }, i) => {
      const gradient = results[name] as Tensor<'float32'>;
      return isPooled[i] ? gradient.data : laidOut(gradient, layers[i]).data;
    });
  };
  const axisIn = certainAxes(source.graph, image.dims?.[0]);
  const read = inputs.filter(({ name }) => name !== seedName);
  const axes = read.map(({ name, dims: own }) => [name, axisIn(own)] as const);
  // Whole numbers may be places in a batch, or its dims.
  const hasOnlyValues = read.every(({ type }) => type === DataType.FLOAT || type === DataType.BOOL);
  const isFirst = isPooled.every((own, i) => !own || (layers[i].layout?.batchAxis ?? 0) === 0);
  const isRepeatable = hasOnlyValues && isFirst && axes.every(([, axis]) => axis !== undefined);
  /** What is read of one picture, `count` times. */
  const repeatedFor = (saved: Forward['saved'], times: number) =>
    Object.fromEntries(
      axes.map(([name, axis]) => [name, axis ? repeated(saved[name], axis, 0, times) : saved[name]]),
    );
  const runTogether = async (forward: Pick<Forward, 'saved' | 'scores'>, seeds: readonly Float32Array[]) => {
    const [first] = seeds;
    const data = new Float32Array(first.length * seeds.length);
    seeds.forEach((seed, i) => data.set(seed, i * first.length));
    const saved = repeatedFor(forward.saved, seeds.length);
    const all = { ...forward.scores, dims: forward.scores.dims.with(0, seeds.length) };
    const gradients = await run({ saved, scores: all, images: seeds.length }, data);
    releaseArrays(axes.flatMap(([name, axis]) => (axis ? [saved[name].data] : [])));
    return seeds.map((_, i) =>
      gradients.map((own) =>
        own.subarray((i * own.length) / seeds.length, ((i + 1) * own.length) / seeds.length),
      ),
    );
  };
  const backwardEach: Differentiator['backwardEach'] = async (forward, seeds) => {
    const bytes = Object.values(forward.saved).reduce((sum, { data }) => sum + data.byteLength, 0);
    const isOne =
      forward.scores.dims[0] === 1 &&
      axes.every(([name, axis]) => !axis || forward.saved[name].dims[axis.batchAxis] === 1);
    const atOnce = isRepeatable && isOne ? Math.max(1, Math.floor(mostRepeated / Math.max(1, bytes))) : 1;
    const found: Float32Array[][] = [];
    for (let i = 0; i < seeds.length; i += atOnce) {
      const group = seeds.slice(i, i + atOnce);
      if (group.length > 1) found.push(...(await runTogether(forward, group)));
      else found.push(await run(forward, group[0]));
    }
    return found;
  };
  return {
    scores,
    wrt: layers,
    count,
    channels: layers.map((layer) => Number(valueInfo(source.graph, layer.name).dims?.[channelAxisOf(layer)])),
    batch: source.fixedBatch,
    isConstant,
    isPooled,
    forward: async (feeds) =>
      forwardOf(await forward.run(feeds), feeds, { image, scores, layers, saved: split.saved }),
    backward: run,
    backwardEach,
    release,
  };
}

/** The network with its gradient, cut where the seed enters. */
function splitGradient(
  { graph: own, image }: Source,
  layers: readonly Wanted[],
  { info: { name: output, dims = [] } }: Scores,
  { rules, reads }: { rules: NonNullable<GradientOptions['rules']>; reads: readonly string[] },
): { readonly split: SplitGraph; readonly seedName: string; readonly gradients: readonly string[] } {
  const seedName = Names.of(own).free('seed');
  const wrt = layers.map(({ name }) => name);
  const { graph, gradients } = appendGradient(own, { of: [{ output, seed: seedName }], wrt, rules });
  const names = wrt.map((name) => gradients.get(name) as string);
  const fetched = [output, ...wrt, ...reads].filter((name) => name !== image.name);
  const seed: ValueInfo = { name: seedName, type: DataType.FLOAT, dims };
  return { split: splitAtSeed(graph, seed, [...new Set(fetched)], names), seedName, gradients: names };
}

/** Passes whose activations and gradients stay on the GPU; scores and what else is read come back. */
export interface HeldPasses extends Passes {
  readonly isHeld: true;
  forward(feeds: Readonly<Record<string, Tensor>>): Promise<HeldForward>;
  release(forward: Forward): void;
  /** ∂(seed · S)/∂A of each layer; `seed` has the dims of the scores. To be released. */
  gradients(forward: HeldForward, seed: Float32Array): Promise<GpuTensor[]>;
}

export interface HeldForward extends Forward {
  /** A of each layer. */
  readonly held: readonly GpuTensor[];
  readonly onGpu: Readonly<Record<string, GpuTensor>>;
}

/** As `openDifferentiator`, for layers that are [N, K, …grid] as they are. */
export async function openHeld(
  source: Source,
  layers: readonly Wanted[],
  scores: Scores,
  { rules = {}, reads = [] }: { rules?: NonNullable<GradientOptions['rules']>; reads?: readonly string[] },
): Promise<HeldPasses> {
  const { split, seedName, gradients } = splitGradient(source, layers, scores, { rules, reads });
  const read = new Set([scores.info.name, ...reads]);
  const held = split.forward.outputs.map(({ name }) => name).filter((name) => !read.has(name));
  const forward = await source.open(split.forward, { held });
  const infos = new Map(forward.outputs.map((info) => [info.name, inferredInfo(info)]));
  const inputs = split.backward.inputs.map((input) => infos.get(input.name) ?? input);
  const backward = await source.open({ ...split.backward, inputs }, { arena: false, held: gradients });
  return {
    isHeld: true,
    scores,
    wrt: layers,
    forward: async (feeds) => {
      const { values, held: onGpu } = await forward.runHeld(feeds);
      const all = { ...feeds, ...values };
      const own = layers.map(({ name }) => onGpu[name]);
      return {
        scores: all[scores.info.name] as Tensor<'float32'>,
        activations: [],
        dims: own.map(({ dims }) => dims),
        layers: [],
        saved: Object.fromEntries(split.saved.flatMap((name) => (all[name] ? [[name, all[name]]] : []))),
        results: values,
        images: feeds[source.image.name].dims[0],
        held: own,
        onGpu,
      };
    },
    release: ({ results, ...own }) => {
      releaseArrays(Object.values(results).map(({ data }) => data));
      for (const tensor of Object.values((own as Partial<HeldForward>).onGpu ?? {})) tensor.release();
    },
    gradients: async ({ saved, onGpu, scores: own }, data) => {
      const seed: Tensor = { type: 'float32', dims: own.dims, data };
      const results = (await backward.runHeld({ ...saved, ...onGpu, [seedName]: seed })).held;
      return gradients.map((name) => results[name]);
    },
  };
}

/** ∂(seed · S)/∂A of each layer, laid out as A; `seed` has the dims of the scores. */
export type GradientPass = (
  feeds: Readonly<Record<string, Tensor>>,
  seed: Tensor<'float32'>,
) => Promise<Float32Array[]>;

/**
 * Forward and backward in one session, for a seed that is known before the scores are: nothing but the gradients leaves it. Two
 * sessions hand all that the second reads from one to the other.
 */
export async function openGradient(
  { graph: source, open }: Source,
  layers: readonly Wanted[],
  { info }: Scores,
  rules: NonNullable<GradientOptions['rules']> = {},
): Promise<GradientPass> {
  const seed: ValueInfo = { ...info, name: Names.of(source).free('seed'), type: DataType.FLOAT };
  const { graph, gradients } = appendGradient(source, {
    of: [{ output: info.name, seed: seed.name }],
    wrt: layers.map(({ name }) => name),
    rules,
  });
  const names = layers.map(({ name }) => gradients.get(name) as string);
  const outputs = [...new Set(names)].map((name) => valueInfo(graph, name));
  const session = await open(subgraph(graph, [...graph.inputs, seed], outputs));
  return async (feeds, upstream) => {
    const results = await session.run({ ...feeds, [seed.name]: upstream });
    return layers.map((layer, i) => laidOut(results[names[i]] as Tensor<'float32'>, layer).data);
  };
}

function forwardOf(
  results: Readonly<Record<string, Tensor>>,
  feeds: Readonly<Record<string, Tensor>>,
  parts: { image: ValueInfo; scores: Scores; layers: readonly Wanted[]; saved: readonly string[] },
): Forward {
  const { image, scores, layers, saved } = parts;
  const valueOf = (name: string) => results[name] ?? feeds[name];
  const values = layers.map(({ name }) => valueOf(name) as Tensor<'float32'>);
  const pictures = layers.map((layer, i) => laidOut(values[i], layer));
  return {
    scores: valueOf(scores.info.name) as Tensor<'float32'>,
    activations: pictures.map(({ data }) => data),
    dims: pictures.map(({ dims }) => dims),
    layers: values,
    saved: Object.fromEntries(saved.map((name) => [name, valueOf(name)])),
    results,
    images: feeds[image.name].dims[0],
  };
}

/**
 * The backward session, without an arena: its tensors are large and short-lived. Where a gradient only repeats one number a
 * channel, that number is its output.
 */
async function openBackward(
  source: Source,
  graph: Graph,
  layers: readonly Wanted[],
): Promise<{ session: Session; isPooled: boolean[] }> {
  const made = producers(graph);
  const before = graph.outputs.map((info) => {
    const node = made.get(info.name);
    return node?.opType === 'Expand' ? { name: node.inputs[0], type: info.type, dims: undefined } : info;
  });
  const isShorter = before.some((info, i) => info !== graph.outputs[i]);
  if (isShorter && new Set(before.map(({ name }) => name)).size === before.length) {
    const session = await source.open(subgraph(graph, graph.inputs, before), { arena: false });
    const isPooled = session.outputs.map(
      ({ name, dims }, i) =>
        name !== graph.outputs[i].name && dims.length > 2 && isOneEach(source.graph, layers[i], dims),
    );
    if (before.every((info, i) => info === graph.outputs[i] || isPooled[i])) return { session, isPooled };
  }
  return { session: await source.open(graph, { arena: false }), isPooled: layers.map(() => false) };
}

/** Whether a gradient of these dims has one number a channel, for all places alike. */
function isOneEach(graph: Graph, layer: Wanted, dims: OutputInfo['dims']): boolean {
  const axis = channelAxisOf(layer);
  const { batchAxis = 0, prefix = 0, suffix = 0, folded } = layer.layout ?? {};
  if (folded) return false; // one number a channel and a frame
  const isSame = dims[axis] === valueInfo(graph, layer.name).dims?.[axis];
  return (
    isSame && prefix + suffix === 0 && dims.every((dim, i) => i === axis || i === batchAxis || dim === 1)
  );
}

function channelAxisOf({ layout }: Wanted): number {
  return layout?.channelAxis ?? 1;
}

function release({ results, activations, layers }: Forward): void {
  const copies = activations.filter((data, i) => data !== layers[i].data);
  releaseArrays([...Object.values(results).map(({ data }) => data), ...copies]);
}
