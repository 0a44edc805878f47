import { Builder, type Name } from '../graph/builder.js';
import { appendGradient } from '../autodiff/walk.js';
import { invalid } from '../check.js';
import { type Graph, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import { floatConstant, floatsOf } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import { inferValues } from '../runtime/infer.js';
import { openSession, type Session } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';

export interface TrainerOptions {
  /** The float32 constants of the graph that are to be learned. */
  readonly weights: readonly Name[];
  /** Inputs that the loss reads and the network does not, such as labels. */
  readonly inputs: readonly ValueInfo[];
  /** Writes the loss behind the network and returns its name; dims []. */
  readonly loss: (b: Builder) => Name;
  /** Threads inside one operator; default: ONNX Runtime's choice. */
  readonly threads?: number;
}

/** The loss of a batch and its gradient by every weight. */
export interface Step {
  readonly loss: number;
  readonly gradients: ReadonlyMap<Name, Float32Array>;
}

/**
 * A graph whose constants are learned: the weights become inputs, the loss and its gradient by each weight become
 * outputs, and ONNX Runtime runs the whole as one model. Moving the weights is the optimizer's part (adam.ts).
 */
export class Trainer {
  /** What is learned; optimizers write into it. */
  readonly weights: ReadonlyMap<Name, Float32Array>;
  readonly #graph: Graph;
  readonly #session: Session;
  readonly #loss: Name;
  readonly #gradients: ReadonlyMap<Name, Name>;

  private constructor(parts: {
    weights: ReadonlyMap<Name, Float32Array>;
    graph: Graph;
    session: Session;
    loss: Name;
    gradients: ReadonlyMap<Name, Name>;
  }) {
    this.weights = parts.weights;
    this.#graph = parts.graph;
    this.#session = parts.session;
    this.#loss = parts.loss;
    this.#gradients = parts.gradients;
  }

  /**
   * @throws GradcamppError INVALID_OPTION for a weight that is no float32 constant; UNSUPPORTED_MODEL where an
   *   operator between a weight and the loss has no gradient rule
   */
  static async open(graph: Graph, { weights, inputs, loss, threads }: TrainerOptions): Promise<Trainer> {
    for (const name of weights)
      if (graph.constants.get(name)?.type !== DataType.FLOAT)
        throw invalid('weights', 'names of float32 constants of the graph', name);
    const learned = new Map(weights.map((name) => [name, copyOf(graph, name)]));
    const training = await trainingGraph(graph, weights, inputs, loss);
    const session = await openSession(training.graph, { threads });
    return new Trainer({
      weights: learned,
      graph,
      session,
      loss: training.loss,
      gradients: training.gradients,
    });
  }

  /** Loss and gradients at the present weights. The feeds are the network's inputs and the loss's own. */
  async step(feeds: Readonly<Record<string, Tensor>>): Promise<Step> {
    const weights: Record<string, Tensor> = {};
    for (const [name, data] of this.weights) {
      const { dims } = this.#graph.constants.get(name) as { dims: readonly number[] };
      weights[name] = { type: 'float32', dims, data };
    }
    const results = await this.#session.run({ ...feeds, ...weights });
    const gradients = new Map<Name, Float32Array>();
    for (const [name, gradient] of this.#gradients)
      gradients.set(name, results[gradient].data as Float32Array);
    return { loss: (results[this.#loss].data as Float32Array)[0], gradients };
  }

  /** The network with the present weights. */
  trained(): Graph {
    const constants = new Map(this.#graph.constants);
    for (const [name, data] of this.weights)
      constants.set(name, floatConstant(data.slice(), constants.get(name)?.dims ?? []));
    return { ...this.#graph, constants };
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

function copyOf(graph: Graph, name: Name): Float32Array {
  return Float32Array.from(floatsOf(graph.constants.get(name) as never));
}

async function trainingGraph(
  graph: Graph,
  weights: readonly Name[],
  inputs: readonly ValueInfo[],
  loss: (b: Builder) => Name,
): Promise<{ graph: Graph; loss: Name; gradients: ReadonlyMap<Name, Name> }> {
  const infos = [...graph.inputs, ...inputs, ...weights.map((name) => ({ ...valueInfo(graph, name), name }))];
  const b = new Builder(graph);
  for (const { name } of inputs) b.names.take(name);
  b.at('loss');
  const output = loss(b);
  const seed = b.scalar(1);
  const constants = new Map([...graph.constants, ...b.constants]);
  for (const name of weights) constants.delete(name);
  const withLoss = await inferValues({
    ...graph,
    inputs: infos,
    outputs: [{ name: output, type: DataType.FLOAT, dims: [] }],
    nodes: [...graph.nodes, ...b.nodes],
    constants,
  });
  const made = appendGradient(withLoss, { of: [{ output, seed }], wrt: weights });
  const fetched = [output, ...made.gradients.values()].map((name) => valueInfo(made.graph, name));
  return { graph: subgraph(made.graph, infos, fetched), loss: output, gradients: made.gradients };
}
