import { appendGradient, type GradientOptions } from '../autodiff/walk.js';
import { splitAtSeed } from '../autodiff/split.js';
import { GradcamppError } from '../errors.js';
import { isFloatValue } from '../graph/from-model.js';
import { type Graph, producers, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import { automaticLayer, candidateLayers, type Layer, namedLayer } from '../graph/layers.js';
import { findScores, type Scores } from '../graph/scores.js';
import { type Model, readModel } from '../onnx/read.js';
import { DataType } from '../onnx/types.js';
import { prepareGraph } from '../runtime/prepare.js';
import { inferredInfo, openSession, type Session, type SessionOptions } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import { discard } from '../memory.js';
import { scoreCount } from './targets.js';

/** What is kept of a forward pass: everything that the backward pass of any target needs. */
export interface Forward {
  /** S, [N, M]. */
  readonly scores: Float32Array;
  /** A of each layer, [N, K, ...]. */
  readonly activations: readonly Float32Array[];
  /** Dims of each layer, with N. */
  readonly dims: readonly (readonly number[])[];
  readonly saved: Readonly<Record<string, Tensor>>;
  /** Every output of the forward session. */
  readonly results: Readonly<Record<string, Tensor>>;
  readonly images: number;
}

/** The forward and backward sessions for one choice of layers and output. */
export interface Differentiator {
  readonly scores: Scores;
  /** M, the number of scores. */
  readonly count: number;
  readonly wrt: readonly string[];
  /** K of each of them. */
  readonly channels: readonly number[];
  /** N of the model, where it is fixed. */
  readonly batch: number | undefined;
  /** Whether the gradient is the same for every picture: the head is linear. */
  readonly isConstant: boolean;
  forward(images: Tensor<'float32'>): Promise<Forward>;
  /** ∂(seed · S)/∂A of each layer, [N, K, ...], or [N, K] where it is pooled; `seed` is [N, M]. */
  backward(forward: Forward, seed: Float32Array): Promise<Float32Array[]>;
  /** Whether a layer's gradient is the same at every position (global average pooling follows): then only [N, K]. */
  readonly isPooled: readonly boolean[];
  /** Frees the memory of a forward pass; its arrays must not be used afterwards. */
  release(forward: Forward): void;
}

const seedName = 'seed';

/** One model, opened: its graph, its score tensor, and the sessions made for it so far. */
export class Network {
  readonly graph: Graph;
  readonly name: string;
  /** The input that takes the picture. */
  readonly image: ValueInfo;
  readonly #options: SessionOptions;
  readonly #differentiators = new Map<string, Promise<Differentiator>>();
  readonly #sessions: Session[] = [];
  #plain: Promise<Session> | undefined;

  private constructor(graph: Graph, name: string, image: ValueInfo, options: SessionOptions) {
    this.graph = graph;
    this.name = name;
    this.image = image;
    this.#options = options;
  }

  static async open(
    source: string | URL | Uint8Array | Model,
    options: SessionOptions = {},
    image?: string,
  ): Promise<Network> {
    const model = isModel(source) ? source : await readModel(source);
    const graph = await prepareGraph(model);
    return new Network(graph, model.name, imageInput(graph, image), options);
  }

  /** N of the model, where it is fixed. */
  get fixedBatch(): number | undefined {
    const batch = this.image.dims?.[0];
    return typeof batch === 'number' ? batch : undefined;
  }

  /** The score tensor behind an output; default: the first float output. */
  scores(output?: string): Scores {
    return findScores(this.graph, output);
  }

  layer(name: string, scores: Scores): Layer {
    return name === 'auto'
      ? automaticLayer(this.graph, this.image.name, scores.info.name)
      : namedLayer(this.graph, name, this.image.name, scores.info.name);
  }

  layers(scores: Scores): Layer[] {
    return candidateLayers(this.graph, this.image.name, scores.info.name);
  }

  /** The sessions for some layers (or the input) and an output; made once, then kept. */
  differentiator(
    wrt: readonly string[],
    scores: Scores,
    rules: GradientOptions['rules'] & object = {},
  ): Promise<Differentiator> {
    const key = JSON.stringify([wrt, scores.info.name, Object.keys(rules)]);
    let made = this.#differentiators.get(key);
    if (!made) {
      made = this.#makeDifferentiator(wrt, scores, rules);
      this.#differentiators.set(key, made);
    }
    return made;
  }

  async #makeDifferentiator(
    wrt: readonly string[],
    scores: Scores,
    rules: NonNullable<GradientOptions['rules']>,
  ): Promise<Differentiator> {
    const output = scores.info.name;
    const dims = scores.info.dims ?? [];
    const count = scoreCount(scores);
    const seed: ValueInfo = {
      name: seedName,
      type: DataType.FLOAT,
      dims: [this.image.dims?.[0] ?? 'N', ...dims.slice(1)],
    };
    const { graph, gradients } = appendGradient(this.graph, { of: [{ output, seed: seedName }], wrt, rules });
    const names = wrt.map((name) => gradients.get(name) as string);
    const layers = wrt.filter((name) => name !== this.image.name);
    const split = splitAtSeed(graph, seed, [output, ...layers], names);
    const forward = await this.#open({ ...split.forward, inputs: [this.image] });
    const infos = new Map(forward.outputs.map((info) => [info.name, inferredInfo(info)]));
    const inputs = split.backward.inputs.map((input) => infos.get(input.name) ?? input);
    const { session: backward, isPooled } = await this.#openBackward({ ...split.backward, inputs }, wrt);
    const run = async ({ saved, images }: Pick<Forward, 'saved' | 'images'>, data: Float32Array) => {
      const seedDims = [images, ...(dims.slice(1) as number[])];
      const results = await backward.run({ ...saved, [seedName]: { type: 'float32', dims: seedDims, data } });
      return backward.outputs.map(({ name }) => results[name].data as Float32Array);
    };
    return {
      scores,
      count,
      wrt,
      channels: wrt.map((name) => Number(valueInfo(this.graph, name).dims?.[1])),
      batch: this.fixedBatch,
      isConstant: split.saved.length === 0,
      isPooled,
      forward: async (images) => {
        const results = await forward.run({ [this.image.name]: images });
        const valueOf = (name: string) => (name === this.image.name ? images : results[name]);
        return {
          scores: results[output].data as Float32Array,
          activations: wrt.map((name) => valueOf(name).data as Float32Array),
          dims: wrt.map((name) => valueOf(name).dims),
          saved: Object.fromEntries(split.saved.map((name) => [name, valueOf(name)])),
          results,
          images: images.dims[0],
        };
      },
      backward: split.saved.length === 0 ? remembered(run, count, this.fixedBatch ?? 1) : run,
      release: ({ results }) => discard(Object.values(results).map(({ data }) => data)),
    };
  }

  /** The backward session, without an arena: its tensors are large and short-lived. Where a gradient only repeats one number a channel, that number is its output. */
  async #openBackward(
    graph: Graph,
    wrt: readonly string[],
  ): Promise<{ session: Session; isPooled: boolean[] }> {
    const made = producers(graph);
    const before = graph.outputs.map((info) => {
      const node = made.get(info.name);
      return node?.opType === 'Expand' ? { name: node.inputs[0], type: info.type, dims: undefined } : info;
    });
    if (
      before.some((info, i) => info !== graph.outputs[i]) &&
      new Set(before.map(({ name }) => name)).size === before.length
    ) {
      const session = await this.#open(subgraph(graph, graph.inputs, before), false);
      const isPooled = session.outputs.map(({ name, dims }, i) => {
        const K = valueInfo(this.graph, wrt[i]).dims?.[1];
        return (
          name !== graph.outputs[i].name &&
          dims.length > 2 &&
          dims[1] === K &&
          dims.slice(2).every((dim) => dim === 1)
        );
      });
      if (before.every((info, i) => info === graph.outputs[i] || isPooled[i])) return { session, isPooled };
    }
    return { session: await this.#open(graph, false), isPooled: wrt.map(() => false) };
  }

  /** Scores alone, without the cost of a gradient: [N, M]. */
  async predict(images: Tensor<'float32'>, scores: Scores): Promise<Float32Array> {
    const outputs = [scores.info];
    this.#plain ??= this.#open(subgraph(this.graph, [this.image], outputs));
    const results = await (await this.#plain).run({ [this.image.name]: images });
    return results[scores.info.name].data as Float32Array;
  }

  async #open(graph: Graph, arena = true): Promise<Session> {
    const session = await openSession(graph, this.#options, { arena });
    this.#sessions.push(session);
    return session;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#differentiators.values(), this.#plain]);
    await Promise.all(this.#sessions.splice(0).map((session) => session.close()));
  }
}

type Backward = Differentiator['backward'];

/** Memory for the gradients of a linear head, in numbers. */
const mostRemembered = 1 << 22;

/**
 * A linear head has the same gradient for every picture, so that of a class is computed once. `batch` is the N to
 * compute it with.
 */
function remembered(
  run: (forward: Pick<Forward, 'saved' | 'images'>, seed: Float32Array) => Promise<Float32Array[]>,
  count: number,
  batch: number,
): Backward {
  const known = new Map<number, Float32Array[]>();
  let size = 0;
  const ofClass = async (index: number) => {
    const found = known.get(index);
    if (found) return found;
    const seed = new Float32Array(batch * count);
    seed[index] = 1;
    const gradients = (await run({ saved: {}, images: batch }, seed)).map((gradient) =>
      gradient.slice(0, gradient.length / batch),
    );
    size += gradients.reduce((sum, gradient) => sum + gradient.length, 0);
    if (size > mostRemembered) {
      known.clear();
      size = 0;
    }
    known.set(index, gradients);
    return gradients;
  };
  return async (forward, seed) => {
    const classes = Array.from({ length: forward.images }, (_, n) => onlyClass(seed, n * count, count));
    if (!classes.every((index) => index !== undefined)) return run(forward, seed);
    const rows: Float32Array[][] = [];
    for (const index of classes) rows.push(await ofClass(index));
    if (rows.length === 1) return rows[0];
    return rows[0].map((first, layer) => {
      const gradient = new Float32Array(first.length * rows.length);
      rows.forEach((row, n) => gradient.set(row[layer], n * first.length));
      return gradient;
    });
  };
}

/** The class whose score alone a seed asks for, with weight 1; undefined for other seeds. */
function onlyClass(seed: Float32Array, start: number, count: number): number | undefined {
  let found: number | undefined;
  for (let i = 0; i < count; i++) {
    if (seed[start + i] === 0) continue;
    if (found !== undefined || seed[start + i] !== 1) return undefined;
    found = i;
  }
  return found;
}

function imageInput(graph: Graph, name?: string): ValueInfo {
  const inputs = graph.inputs.map((input) => valueInfo(graph, input.name));
  if (name !== undefined) {
    const named = inputs.find((input) => input.name === name);
    if (named) return named;
    throw new GradcamppError(
      'INVALID_OPTION',
      `"input.name" must be an input of the model; received ${JSON.stringify(name)}. Inputs: ${inputs.map((input) => JSON.stringify(input.name)).join(', ')}.`,
    );
  }
  const pictures = inputs.filter((input) => isFloatValue(input) && (input.dims?.length ?? 4) >= 3);
  if (pictures.length === 1 && inputs.length === 1) return pictures[0];
  const list = inputs
    .map((input) => `${JSON.stringify(input.name)} [${input.dims?.join(', ') ?? '?'}]`)
    .join(', ');
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `The model must have one float input that takes pictures; it has ${inputs.length || 'none'}${list && `: ${list}`}.${inputs.length > 1 ? ` Name the picture's as "input.name" in the JSON sidecar.` : ''}`,
  );
}

function isModel(source: unknown): source is Model {
  return source !== null && typeof source === 'object' && 'proto' in source;
}
