import type { Name } from '../graph/builder.js';
import { appendGradient } from '../autodiff/walk.js';
import { invalid } from '../check.js';
import { type Graph, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import { floatConstant, floatsOf } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import { inferValues } from '../runtime/infer.js';
import { openSession, type Session } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import { NetworkBuilder } from './network-builder.js';
import { forUse, withRunningStatistics } from './training-form.js';

export interface TrainerOptions {
  /** The float32 constants of the graph that are to be learned; `weightsOf` finds them. */
  readonly weights: readonly Name[];
  /** Inputs that the loss reads and the network does not, such as labels. */
  readonly inputs: readonly ValueInfo[];
  /** Writes the loss behind the network and returns its name; dims []. What it asks to `fetch` every step gives. */
  readonly loss: (b: NetworkBuilder) => Name;
  /** Threads inside one operator; default: ONNX Runtime's choice. */
  readonly threads?: number;
}

/** The loss of a batch and its gradient by every weight. */
export interface Step {
  readonly loss: number;
  readonly gradients: ReadonlyMap<Name, Float32Array>;
  /** What the loss had fetched, by its label. */
  readonly fetched: Readonly<Record<string, number>>;
}

/**
 * A graph whose constants are learned: the weights become inputs, the loss and its gradient by each weight become
 * outputs, and ONNX Runtime runs the whole as one model. Moving the weights is the optimizer's part. Batch normalisation in
 * training mode keeps its running statistics up to date. With one thread the same steps give the same bits again.
 */
export class Trainer {
  /** What is learned; optimizers write into it. */
  readonly weights: ReadonlyMap<Name, Float32Array>;
  /** Running statistics; every step writes into it. */
  readonly state: ReadonlyMap<Name, Float32Array>;
  readonly #graph: Graph;
  readonly #session: Session;
  readonly #made: Made;

  private constructor(graph: Graph, made: Made, session: Session, weights: readonly Name[]) {
    const copies = (names: Iterable<Name>) =>
      new Map(Array.from(names, (name) => [name, copyOf(graph, name)] as const));
    this.weights = copies(weights);
    this.state = copies(made.state.keys());
    this.#graph = graph;
    this.#made = made;
    this.#session = session;
  }

  /**
   * @throws GradcamppError INVALID_OPTION for a weight that is no float32 constant; UNSUPPORTED_MODEL where an
   *   operator between a weight and the loss has no gradient rule
   */
  static async open(graph: Graph, { weights, inputs, loss, threads }: TrainerOptions): Promise<Trainer> {
    for (const name of weights)
      if (graph.constants.get(name)?.type !== DataType.FLOAT)
        throw invalid('weights', 'names of float32 constants of the graph', name);
    const made = await trainingGraph(graph, weights, inputs, loss);
    return new Trainer(graph, made, await openSession(made.graph, { threads }), weights);
  }

  /** Loss and gradients at the present weights. The feeds are the network's inputs and the loss's own. */
  async step(feeds: Readonly<Record<string, Tensor>>): Promise<Step> {
    const { loss, gradients: names, fetched: labels, state } = this.#made;
    const values: Record<string, Tensor> = {};
    for (const [name, data] of [...this.weights, ...this.state]) {
      const { dims } = this.#graph.constants.get(name) as { dims: readonly number[] };
      values[name] = { type: 'float32', dims, data };
    }
    const results = await this.#session.run({ ...feeds, ...values });
    const of = (name: Name) => results[name].data as Float32Array;
    for (const [name, next] of state) this.state.get(name)?.set(of(next));
    return {
      loss: of(loss)[0],
      gradients: new Map(Array.from(names, ([name, gradient]) => [name, of(gradient)])),
      fetched: Object.fromEntries(Array.from(labels, ([label, name]) => [label, of(name)[0]])),
    };
  }

  /**
   * The network with the present weights and running statistics, as it is used: batch normalisation by these, nothing dropped,
   * and without loss.
   */
  trained(): Graph {
    const constants = new Map(this.#graph.constants);
    for (const [name, data] of [...this.weights, ...this.state])
      constants.set(name, floatConstant(data.slice(), constants.get(name)?.dims ?? []));
    return forUse({ ...this.#graph, constants });
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

function copyOf(graph: Graph, name: Name): Float32Array {
  return Float32Array.from(floatsOf(graph.constants.get(name) as never));
}

/** What is run every step, and where in it the results are. */
export interface Made {
  readonly graph: Graph;
  readonly loss: Name;
  /** By weight. */
  readonly gradients: ReadonlyMap<Name, Name>;
  /** By label. */
  readonly fetched: ReadonlyMap<string, Name>;
  /** By constant. */
  readonly state: ReadonlyMap<Name, Name>;
}

/** Weights are inputs before anything is differentiated: a gradient that had taken one in as a constant would grow stale. */
export async function trainingGraph(
  network: Graph,
  weights: readonly Name[],
  inputs: readonly ValueInfo[],
  loss: (b: NetworkBuilder) => Name,
): Promise<Made> {
  const { graph, state } = withRunningStatistics(network);
  const varying = [...weights, ...state.keys()].map((name) => ({ ...valueInfo(graph, name), name }));
  const constants = new Map(graph.constants);
  for (const { name } of varying) constants.delete(name);
  const known = await inferValues({ ...graph, inputs: [...graph.inputs, ...varying], constants });
  const b = new NetworkBuilder(
    {
      ...known,
      inputs: [...known.inputs, ...inputs],
      values: new Map([...known.values, ...inputs.map((info) => [info.name, info] as const)]),
    },
    { keepPaths: true },
  );
  b.at('loss');
  const output = loss(b);
  const seed = b.scalar(1);
  const withLoss = await inferValues({
    ...b.graph,
    outputs: [{ name: output, type: DataType.FLOAT, dims: [] }],
  });
  const made = appendGradient(withLoss, { of: [{ output, seed }], wrt: weights });
  const wanted = new Set([output, ...made.gradients.values(), ...b.fetched.values(), ...state.values()]);
  const outputs = [...wanted].map((name) => valueInfo(made.graph, name));
  return {
    graph: subgraph(made.graph, withLoss.inputs, outputs),
    loss: output,
    gradients: made.gradients,
    fetched: b.fetched,
    state,
  };
}
