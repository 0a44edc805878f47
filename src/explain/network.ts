import { withGradient } from '../autodiff/obstacle.js';
import type { GradientOptions } from '../autodiff/walk.js';
import { type Graph, readsOf, subgraph, type ValueInfo } from '../graph/graph.js';
import { automaticLayer, candidateLayers, type Layer, namedLayer } from '../graph/layers.js';
import { findScores, type Scores } from '../graph/scores.js';
import { type Model, readModel } from '../onnx/read.js';
import { prepareGraph } from '../runtime/prepare.js';
import { openSession, type Session, type SessionOptions } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import { type Differentiator, openDifferentiator, openForward, type Passes, type Source } from './passes.js';
import { adaptPicture } from './picture-input.js';

/** One model, opened: its graph, its score tensor, and the sessions made for it so far. */
export class Network {
  readonly graph: Graph;
  readonly name: string;
  /** What wrote the model. */
  readonly producer: string;
  /** The input that takes the picture: float32, [N, …]. */
  readonly image: ValueInfo;
  /** The model's own input for it, as the user knows it. */
  readonly original: ValueInfo;
  readonly #options: SessionOptions;
  readonly #opened = new Map<string, Promise<unknown>>();
  readonly #sessions: Session[] = [];

  private constructor(
    parts: { graph: Graph; image: ValueInfo; original: ValueInfo },
    { name, proto }: Model,
    options: SessionOptions,
  ) {
    this.graph = parts.graph;
    this.image = parts.image;
    this.original = parts.original;
    this.name = name;
    this.producer = proto.producerName;
    this.#options = options;
  }

  /** @param image the input that takes the picture; default: found */
  static async open(
    source: string | URL | Uint8Array | Model,
    options: SessionOptions = {},
    image?: string,
  ): Promise<Network> {
    const model = isModel(source) ? source : await readModel(source);
    return new Network(
      adaptPicture(await prepareGraph(model, [], { inference: true }), image),
      model,
      options,
    );
  }

  /** N of the model, where it is fixed. */
  get fixedBatch(): number | undefined {
    const batch = this.image.dims?.[0];
    return typeof batch === 'number' ? batch : undefined;
  }

  /** The score tensor behind an output; default: the output that looks like scores. */
  scores(output?: string): Scores {
    const scores = findScores(this.graph, output);
    const isRow = this.fixedBatch === 1 && scores.info.dims?.length === 1 && scores.info.dims[0] !== 1;
    return isRow && scores.link === 'none' ? { ...scores, link: 'softmax' } : scores; // [M] without N, not [N]
  }

  layer(name: string, scores: Scores): Layer {
    const { graph, image } = this;
    if (name !== 'auto') return namedLayer(graph, name, image.name, scores.info.name);
    const best = automaticLayer(graph, image.name, scores.info.name);
    return withGradient(graph, best, this.layers(scores), scores.info.name);
  }

  layers(scores: Scores): Layer[] {
    return candidateLayers(this.graph, this.image.name, scores.info.name);
  }

  /** Forward and backward passes for some layers (or the input) and an output; opened once, then kept. */
  differentiator(
    layers: readonly string[],
    scores: Scores,
    more: { rules?: NonNullable<GradientOptions['rules']>; reads?: readonly string[] } = {},
  ): Promise<Differentiator> {
    const key = ['gradient', layers, scores.info.name, Object.keys(more.rules ?? {}), more.reads ?? []];
    return this.once(key, () => openDifferentiator(this.#source, layers, scores, more));
  }

  /** Forward passes that also give some layers and outputs; opened once, then kept. */
  forward(layers: readonly string[], scores: Scores, reads: readonly string[] = []): Promise<Passes> {
    const key = ['forward', layers, scores.info.name, reads];
    return this.once(key, () => openForward(this.#source, layers, scores, reads));
  }

  /** A session over a part of the graph, or one that grew out of it; opened once, closed with the network. */
  session(key: unknown, make: () => Graph): Promise<Session> {
    return this.once(['session', key], () => this.#open(make()));
  }

  /** Scores alone, without the cost of a gradient. */
  async predict(feeds: Readonly<Record<string, Tensor>>, scores: Scores): Promise<Tensor<'float32'>> {
    const session = await this.session(`scores ${scores.info.name}`, () =>
      subgraph(this.graph, this.graph.inputs, [scores.info]),
    );
    return (await session.run(feeds))[scores.info.name] as Tensor<'float32'>;
  }

  /** What is open already, and what is being opened, is closed. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#opened.values());
    await Promise.all(this.#sessions.splice(0).map((session) => session.close()));
  }

  get #source(): Source {
    const { graph, image, fixedBatch } = this;
    return { graph, image, fixedBatch, open: (part, arena) => this.#open(part, arena) };
  }

  /** What is made once for this network, and kept. */
  once<T>(key: unknown, open: () => Promise<T>): Promise<T> {
    const id = JSON.stringify(key);
    let made = this.#opened.get(id);
    if (!made) {
      made = open();
      this.#opened.set(id, made);
    }
    return made as Promise<T>;
  }

  async #open(graph: Graph, arena = true): Promise<Session> {
    const used = usedInputs(graph);
    const session = await openSession({ ...graph, inputs: used }, this.#options, { arena });
    this.#sessions.push(session);
    const names = new Set(used.map(({ name }) => name));
    return {
      ...session,
      run: (feeds) =>
        session.run(Object.fromEntries(Object.entries(feeds).filter(([name]) => names.has(name)))),
    };
  }
}

/** Inputs that a graph reads or hands out: a session wants no others. */
function usedInputs(graph: Graph): ValueInfo[] {
  const read = new Set(graph.nodes.flatMap(readsOf));
  for (const { name } of graph.outputs) read.add(name);
  return graph.inputs.filter(({ name }) => read.has(name));
}

function isModel(source: unknown): source is Model {
  return source !== null && typeof source === 'object' && 'proto' in source;
}
