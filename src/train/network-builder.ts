import { appendGradient } from '../autodiff/walk.js';
import { Builder, type Name } from '../graph/builder.js';
import { type Dim, type Graph, valueInfo } from '../graph/graph.js';

/**
 * Writes behind a network, of which dims are known, and differentiates values of it on the way: losses read gradients.
 */
export class NetworkBuilder extends Builder {
  readonly #network: Graph;
  readonly #keepPaths: boolean;
  readonly #gradients = new Map<string, Name>();
  readonly #fetched = new Map<string, Name>();

  /** @param keepPaths whether what is written will be differentiated by weights: then gradients hold on to them */
  constructor(network: Graph, { keepPaths }: { readonly keepPaths: boolean }) {
    super(network);
    this.#network = network;
    this.#keepPaths = keepPaths;
    this.nodes.push(...network.nodes);
  }

  /** The network with what was written. */
  get graph(): Graph {
    return {
      ...this.#network,
      nodes: [...this.nodes],
      constants: new Map([...this.#network.constants, ...this.constants]),
    };
  }

  /** What is to be known of each step beside the loss, by what it is called: values of dims []. */
  get fetched(): ReadonlyMap<string, Name> {
    return this.#fetched;
  }

  /** Dims of a value of the network or of an input. */
  dims(name: Name): readonly Dim[] {
    return valueInfo(this.#network, name).dims ?? [];
  }

  /** Makes a value of dims [] known after every step. */
  fetch(label: string, value: Name): void {
    this.#fetched.set(label, value);
  }

  /**
   * The gradient of Σ seed · output by a layer, dims of the layer; written once, however often it is asked for.
   *
   * @param output a value of the network
   * @param seed dims of `output`
   */
  gradient(output: Name, seed: Name, layer: Name): Name {
    const key = JSON.stringify([output, seed, layer]);
    const known = this.#gradients.get(key);
    if (known !== undefined) return known;
    const { graph, gradients } = appendGradient(this.graph, {
      of: [{ output, seed }],
      wrt: [layer],
      keepPaths: this.#keepPaths,
    });
    this.nodes.splice(0, this.nodes.length, ...graph.nodes); // rules may ask the network's own nodes for more outputs
    for (const { outputs } of graph.nodes) for (const name of outputs) if (name) this.names.take(name);
    for (const [name, constant] of graph.constants) {
      if (this.#network.constants.has(name)) continue;
      this.names.take(name);
      this.constants.set(name, constant);
    }
    const gradient = gradients.get(layer) as Name;
    this.#gradients.set(key, gradient);
    return gradient;
  }
}
