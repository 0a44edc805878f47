import { withGradient } from '../autodiff/obstacle.js';
import type { GradientOptions } from '../autodiff/walk.js';
import type { Attention } from '../graph/find-attention.js';
import { type Graph, readsOf, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import {
  attentionIn,
  automaticLayer,
  candidateLayers,
  type Layer,
  namedLayer,
  type Search,
} from '../graph/layers.js';
import { findScores, type Scores } from '../graph/scores.js';
import { type SelfAttention, selfAttention } from '../graph/self-attention.js';
import type { TokenGrid } from '../graph/tokens.js';
import type { HeldKernel } from '../map/webgpu/held.js';
import type { Model } from '../onnx/model.js';
import { prepareGraph } from '../runtime/prepare.js';
import { canHold, gpuDevice, openSession, type Session, type SessionOptions } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import {
  type Differentiator,
  type GradientPass,
  type HeldPasses,
  openDifferentiator,
  openForward,
  openGradient,
  openHeld,
  type Passes,
  type Source,
} from './passes.js';
import { withAlternatives } from './alternatives.js';
import type { Wanted } from './layout.js';
import { withRememberedClasses } from './linear-head.js';
import { formulationFor } from './on-gpu.js';
import { adaptPicture, type PictureChoice } from './picture-input.js';
import { batchFirst, joined } from './views.js';

/** A network that was put together from others, in place of a model: its graph, prepared. */
export interface MadeNetwork {
  readonly graph: Graph;
  /** For messages. */
  readonly name: string;
  readonly producer: string;
}

/** One model, opened: its graph, its score tensor, and the sessions made for it so far. */
export class Network {
  #graph: Graph;
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
  /** Values with N in front, by the names of those with N behind; and values that are joined, by the names of all. */
  readonly #turned = new Map<string, ValueInfo>();
  readonly #joined = new Map<string, ValueInfo>();

  private constructor(
    parts: { graph: Graph; image: ValueInfo; original: ValueInfo },
    { name, producer }: Pick<MadeNetwork, 'name' | 'producer'>,
    options: SessionOptions,
  ) {
    this.#graph = parts.graph;
    this.image = parts.image;
    this.original = parts.original;
    this.name = name;
    this.producer = producer;
    this.#options = options;
  }

  /** @param picture which input takes the picture; default: found */
  static async open(
    source: Model | MadeNetwork,
    options: SessionOptions = {},
    picture?: PictureChoice,
  ): Promise<Network> {
    const made = 'graph' in source ? source : await prepared(source);
    return new Network(adaptPicture(made.graph, picture), made, options);
  }

  /** What the model computes, and what targets have had computed of it. */
  get graph(): Graph {
    return this.#graph;
  }

  /** N of the model, where it is fixed. */
  get fixedBatch(): number | undefined {
    const batch = this.image.dims?.[0];
    return typeof batch === 'number' ? batch : undefined;
  }

  /** The score tensor behind an output, [N, …]; default: the output that looks like scores. Joined values are as they are. */
  scores(output?: string): Scores {
    const [key, view] = [...this.#joined].find(([, { name }]) => name === output) ?? [];
    if (key && view)
      return { info: view, output: view.name, link: 'none', parts: JSON.parse(key), notes: [] };
    const found = findScores(this.graph, output);
    const scores = { ...found, info: this.#batchFirst(found.info) };
    const isRow = this.fixedBatch === 1 && scores.info.dims?.length === 1 && scores.info.dims[0] !== 1;
    return isRow && scores.link === 'none' ? { ...scores, link: 'softmax' } : scores; // [M] without N, not [N]
  }

  /** The values of some outputs, row by row one after another, as one value; and the outputs with N in front. */
  join(outputs: readonly string[]): { readonly output: string; readonly parts: readonly string[] } {
    const key = JSON.stringify(outputs);
    const known = this.#joined.get(key);
    const infos = outputs.map((name) => {
      findScores(this.graph, name); // which says where there is no such value
      return this.#batchFirst(valueInfo(this.graph, name));
    });
    const view = known ? undefined : joined(this.graph, infos, this.fixedBatch);
    if (view) {
      this.#graph = view.graph;
      this.#joined.set(key, view.info);
    }
    return { output: (known ?? view?.info)?.name as string, parts: infos.map(({ name }) => name) };
  }

  /** The value, or its transposition where N is its second axis. */
  #batchFirst(info: ValueInfo): ValueInfo {
    const known = this.#turned.get(info.name);
    const view = known ? undefined : batchFirst(this.graph, info, this.image.dims?.[0]);
    if (view) {
      this.#graph = view.graph;
      this.#turned.set(info.name, view.info);
    }
    return known ?? view?.info ?? info;
  }

  /** @param tokens where the patches of tokens lie, if the graph does not say it */
  layer(name: string, scores: Scores, tokens?: TokenGrid): Layer {
    const search = this.#search(scores, tokens);
    if (name !== 'auto') return namedLayer(name, search);
    return withGradient(this.graph, automaticLayer(search), this.layers(scores, tokens), scores.info.name);
  }

  layers(scores: Scores, tokens?: TokenGrid): Layer[] {
    return candidateLayers(this.#search(scores, tokens));
  }

  /** Attention between places of the picture, in the order in which it runs. */
  attention(scores: Scores, tokens?: TokenGrid): Attention[] {
    return attentionIn(this.#search(scores, tokens));
  }

  /** The self-attention of a plain transformer, which methods follow from block to block. */
  selfAttention(scores: Scores, tokens?: TokenGrid): SelfAttention {
    return selfAttention(this.#search(scores, tokens));
  }

  #search({ info }: Scores, tokens: TokenGrid | undefined): Search {
    return { graph: this.graph, image: this.image.name, scores: info.name, tokens };
  }

  /** Forward and backward passes for some layers (or the input) and an output; opened once, then kept. */
  differentiator(
    layers: readonly Wanted[],
    scores: Scores,
    more: { rules?: NonNullable<GradientOptions['rules']>; reads?: readonly string[] } = {},
  ): Promise<Differentiator> {
    const key = ['gradient', layers, scores.info.name, Object.keys(more.rules ?? {}), more.reads ?? []];
    return this.once(key, () =>
      openDifferentiator(this.#source, layers, scores, { ...more, rules: this.#rules(more.rules) }).then(
        withRememberedClasses,
        (error: unknown) => {
          throw withAlternatives(error);
        },
      ),
    );
  }

  /** The same in one session, for seeds that are known before the scores are; opened once, then kept. */
  gradient(
    layers: readonly Wanted[],
    scores: Scores,
    rules: NonNullable<GradientOptions['rules']> = {},
  ): Promise<GradientPass> {
    const key = ['gradient alone', layers, scores.info.name, Object.keys(rules)];
    return this.once(key, () =>
      openGradient(this.#source, layers, scores, this.#rules(rules)).catch((error: unknown) => {
        throw withAlternatives(error);
      }),
    );
  }

  /** The same where activations and gradients stay on the GPU, and maps are computed there; opened once, then kept. */
  held(layers: readonly Wanted[], scores: Scores, reads: readonly string[]): Promise<HeldPasses> {
    const key = ['held', layers, scores.info.name, reads];
    return this.once(key, () =>
      openHeld(this.#source, layers, scores, { rules: this.#rules({}), reads }).catch((error: unknown) => {
        throw withAlternatives(error);
      }),
    );
  }

  /** Whether activations and gradients can stay where the network runs. */
  canHold(): Promise<boolean> {
    return canHold(this.#options);
  }

  /** The GPU's device, once a session is open there; undefined where values cannot stay on one. */
  gpu(): Promise<GPUDevice | undefined> {
    return gpuDevice(this.#options);
  }

  /** The kernel of the map stage on the network's GPU, once a session is open there. */
  kernel(): Promise<HeldKernel> {
    return this.once('kernel', async () => {
      const { HeldKernel } = await import('../map/webgpu/held.js');
      return HeldKernel.open((await gpuDevice(this.#options)) as GPUDevice);
    });
  }

  /** Forward passes that also give some layers and outputs; opened once, then kept. */
  forward(layers: readonly Wanted[], scores: Scores, reads: readonly string[] = []): Promise<Passes> {
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

  /** Rules of gradients that take the table's place where the network runs. */
  get rules(): NonNullable<GradientOptions['rules']> {
    return formulationFor(this.#options).rules;
  }

  /** Whether sums can be computed in float64 where the network runs. */
  get hasDoubles(): boolean {
    return formulationFor(this.#options).hasDoubles;
  }

  #rules(own: GradientOptions['rules']): NonNullable<GradientOptions['rules']> {
    return { ...this.rules, ...own };
  }

  get #source(): Source {
    const { graph, image, fixedBatch } = this;
    return { graph, image, fixedBatch, open: (part, more) => this.#open(part, more) };
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

  async #open(
    graph: Graph,
    { arena = true, held }: { arena?: boolean; held?: readonly string[] } = {},
  ): Promise<Session> {
    const used = usedInputs(graph);
    const { written } = formulationFor(this.#options);
    const session = await openSession(written({ ...graph, inputs: used }), this.#options, { arena, held });
    this.#sessions.push(session);
    const names = new Set(used.map(({ name }) => name));
    const own = <T>(feeds: Readonly<Record<string, T>>) =>
      Object.fromEntries(Object.entries(feeds).filter(([name]) => names.has(name)));
    return {
      ...session,
      run: (feeds) => session.run(own(feeds)),
      runHeld: (feeds) => session.runHeld(own(feeds)),
    };
  }
}

/** Inputs that a graph reads or hands out: a session wants no others. */
function usedInputs(graph: Graph): ValueInfo[] {
  const read = new Set(graph.nodes.flatMap(readsOf));
  for (const { name } of graph.outputs) read.add(name);
  return graph.inputs.filter(({ name }) => read.has(name));
}

async function prepared(model: Model): Promise<MadeNetwork> {
  const graph = await prepareGraph(model, [], { inference: true });
  return { graph, name: model.name, producer: model.proto.producerName };
}
