import { hasGradient } from '../autodiff/obstacle.js';
import { splitAtSeed } from '../autodiff/split.js';
import { appendGradient } from '../autodiff/walk.js';
import { appended, Builder, type Name } from '../graph/builder.js';
import {
  descendants,
  type Graph,
  type Node,
  producers,
  readsOf,
  subgraph,
  type ValueInfo,
  valueInfo,
} from '../graph/graph.js';
import type { Scores } from '../graph/scores.js';
import { findAxes } from '../graph/axes.js';
import { foldedBatch } from '../graph/tokens.js';
import { DataType } from '../onnx/types.js';
import { withAlternatives } from './alternatives.js';
import { withExactScores } from './exact-scores.js';
import { inferValues } from '../runtime/infer.js';
import { simplify } from '../runtime/prepare.js';
import type { Session } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import type { Network } from './network.js';
import { type PictureAxis, repeated } from './repeated.js';
import type { Forward } from './passes.js';

/** The network behind a layer. */
export interface Head {
  readonly layer: string;
  /** Inputs: the layer, what else crosses from the trunk, and the model's other inputs. Output: the scores. */
  readonly graph: Graph;
  /** Values of the trunk that the head reads beside the layer (residual paths, say). */
  readonly crossing: readonly string[];
}

/** Cuts the graph behind a layer. */
export function headBehind(graph: Graph, image: string, layer: string, { info }: Scores): Head {
  const behind = descendants(graph, [layer]);
  const seen = seenOf(graph, image);
  const crossing = new Set<string>();
  const made = producers(graph);
  const visited = new Set<string>();
  const visit = (name: string): void => {
    if (name === layer || visited.has(name)) return;
    visited.add(name);
    if (seen.has(name) && !behind.has(name)) crossing.add(name);
    else for (const read of readsOf(made.get(name) ?? none)) visit(read);
  };
  visit(info.name);
  const inputs: ValueInfo[] = [layer, ...crossing].map((name) => valueInfo(graph, name));
  const others = graph.inputs.filter(({ name }) => name !== image);
  return { layer, crossing: [...crossing], graph: subgraph(graph, [...inputs, ...others], [info]) };
}

/**
 * Values that show something of the picture, itself included. What follows from its dims alone (shapes, states of zeros) does
 * not: with another number of pictures it is another, and the head computes it anew.
 */
function seenOf(graph: Graph, image: string): Set<string> {
  const shapes = new Set(['Shape', 'Size']);
  return descendants({ ...graph, nodes: graph.nodes.filter(({ opType }) => !shapes.has(opType)) }, [image]);
}

const none = { inputs: [], attributes: new Map() } as unknown as Node;

/** A session over a head; its scores are float64 where they come from a linear layer, and there is float64. */
export function openHead(network: Network, { layer, graph }: Head): Promise<Session> {
  return network.session(['head', layer, graph.outputs[0].name], () =>
    network.hasDoubles ? withExactScores(graph) : graph,
  );
}

/** What crosses into the head: of the whole batch, or of one picture, `count` times. */
export function headFeeds(
  { crossing }: Head,
  {
    forward,
    input,
    network,
  }: { readonly forward: Forward; readonly input: Tensor<'float32'>; readonly network: Network },
  image?: number,
  count = 1,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const name of crossing) {
    const tensor = name === network.image.name ? input : forward.results[name];
    const axis = pictureAxis(network, name, tensor);
    feeds[name] = image === undefined || axis === undefined ? tensor : repeated(tensor, axis, image, count);
  }
  return feeds;
}

/**
 * The axis of the pictures: where the dims have the symbol of the network's N, else the first that is not known. undefined where
 * the value has none, and is the same for all.
 */
function pictureAxis(
  { graph, image }: Network,
  name: string,
  { dims: own }: Tensor,
): PictureAxis | undefined {
  const folded = foldedBatch(findAxes(graph, image.name).get(name) ?? []);
  if (folded) return folded;
  const N = image.dims?.[0];
  if (typeof N === 'number') return own[0] === N ? { batchAxis: 0 } : undefined;
  const dims = valueInfo(graph, name).dims ?? own.map(() => '');
  const axis = N ? dims.indexOf(N) : -1;
  const found = axis < 0 ? dims.findIndex((dim) => typeof dim !== 'number') : axis;
  return found < 0 ? undefined : { batchAxis: found };
}

/**
 * The gradient of seeded scores by a layer where it does not depend on the activations, since all behind the layer is affine.
 * undefined where it does, or where there is none. `seed` has the dims of the scores; only [N, K] where the gradient is the same
 * at every position.
 */
export function openConstantGradient(
  network: Network,
  { graph, layer }: Head,
  scores: Scores,
): Promise<((seed: Tensor<'float32'>) => Promise<Tensor<'float32'>>) | undefined> {
  return network.once(['constant gradient', layer, scores.info.name], async () => {
    const output = scores.info.name;
    if (!hasGradient(graph, layer, output)) return undefined;
    const seed: ValueInfo = { name: 'seed', type: DataType.FLOAT, dims: scores.info.dims };
    const made = appendGradient(graph, {
      of: [{ output, seed: seed.name }],
      wrt: [layer],
      rules: network.rules,
    });
    const gradient = made.gradients.get(layer) as string;
    const { backward, saved } = splitAtSeed(made.graph, seed, [output], [gradient]);
    if (saved.length > 0) return undefined;
    const session = await network.session(['constant gradient', layer, output], () => backward);
    return async (upstream) => (await session.run({ [seed.name]: upstream }))[gradient] as Tensor<'float32'>;
  });
}

/** First and second derivatives of a log-probability by the layer. */
export interface SecondOrder {
  run(
    feeds: Readonly<Record<string, Tensor>>,
    seed: Tensor<'float32'>,
  ): Promise<{ gradients: Float32Array; product: Float32Array }>;
}

/** T = seed · log softmax(S) (or log sigmoid, or S itself), ∂T/∂A, and ∂⟨∂T/∂A, v⟩/∂A, which is H v. */
export async function openSecondOrder(network: Network, head: Head, scores: Scores): Promise<SecondOrder> {
  const made = await network.once(['second order', head.layer, scores.info.name, scores.link], async () => {
    const built = await secondOrderGraph(head, scores, network.rules).catch((error: unknown) => {
      throw withAlternatives(error);
    });
    return {
      ...built,
      session: await network.session(
        ['derivatives', head.layer, scores.info.name, scores.link],
        () => built.graph,
      ),
    };
  });
  return {
    run: async (feeds, seed) => {
      const results = await made.session.run({
        ...feeds,
        [made.seed]: seed,
        [made.vector]: feeds[head.layer],
      });
      return {
        gradients: results[made.gradient].data as Float32Array,
        product: results[made.product].data as Float32Array,
      };
    },
  };
}

/** log softmax(S) or log sigmoid(S) as a node, dims of the scores; S itself where they are no classes. */
export function logProbability(b: Builder, { info, link }: Pick<Scores, 'info' | 'link'>): Name {
  if (link === 'softmax') return b.op('LogSoftmax', [info.name], { axis: 1 });
  return link === 'sigmoid' ? b.neg(b.op('Softplus', [b.neg(info.name)])) : info.name;
}

async function secondOrderGraph({ graph, layer }: Head, { info, link }: Scores, rules: Network['rules']) {
  const b = new Builder(graph);
  const [seedName, vectorName] = ['seed', 'vector'].map((name) => b.names.free(name));
  b.at('second');
  const dims = info.dims ?? [];
  const log = logProbability(b, { info, link });
  const seed: ValueInfo = { name: seedName, type: DataType.FLOAT, dims };
  const vector: ValueInfo = { ...valueInfo(graph, layer), name: vectorName };
  const whole = await inferValues({ ...appended(graph, b), inputs: [...graph.inputs, seed, vector] });
  const first = appendGradient(whole, { of: [{ output: log, seed: seedName }], wrt: [layer], rules });
  const gradient = first.gradients.get(layer) as string;
  const known = await simplify(first.graph); // with sizes that are known, sums over them need none of their arithmetic
  const second = appendGradient(known, { of: [{ output: gradient, seed: vectorName }], wrt: [layer], rules });
  const product = second.gradients.get(layer) as string;
  const outputs = [gradient, product].map(
    (name): ValueInfo => ({ name, type: DataType.FLOAT, dims: undefined }),
  );
  return {
    graph: subgraph(second.graph, second.graph.inputs, outputs),
    gradient,
    product,
    seed: seedName,
    vector: vectorName,
  };
}
