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
import { openBestChannel } from './best-channel.js';
import { type Differentiator, type Forward, release } from './differentiator.js';
import { remembered } from './linear-head.js';
import { scoreCount } from './targets.js';

const seedName = 'seed';
const none = Promise.resolve(undefined);

/** One model, opened: its graph, its score tensor, and the sessions made for it so far. */
export class Network {
  readonly graph: Graph;
  readonly name: string;
  /** The input that takes the picture. */
  readonly image: ValueInfo;
  readonly #options: SessionOptions;
  readonly #differentiators = new Map<string, Promise<Differentiator>>();
  readonly #bestChannels = new Map<string, Promise<Differentiator | undefined>>();
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
      release,
    };
  }

  /** What explains the best class alone, where that needs less than a differentiator (best-channel.ts); made once. */
  bestChannel(layers: readonly string[], scores: Scores): Promise<Differentiator | undefined> {
    const key = JSON.stringify([layers, scores.info.name]);
    let made = this.#bestChannels.get(key);
    if (!made) {
      const open = (graph: Graph) => this.#open(graph);
      made = layers.length === 1 ? openBestChannel(this, layers[0], scores, open) : none;
      this.#bestChannels.set(key, made);
    }
    return made;
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
    await Promise.allSettled([
      ...this.#differentiators.values(),
      ...this.#bestChannels.values(),
      this.#plain,
    ]);
    await Promise.all(this.#sessions.splice(0).map((session) => session.close()));
  }
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
