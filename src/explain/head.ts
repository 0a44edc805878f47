import { appendGradient } from '../autodiff/walk.js';
import { appended, Builder } from '../graph/builder.js';
import {
  ancestors,
  descendants,
  type Graph,
  readsOf,
  subgraph,
  type ValueInfo,
  valueInfo,
} from '../graph/graph.js';
import type { Scores } from '../graph/scores.js';
import { DataType } from '../onnx/types.js';
import { inferValues } from '../runtime/infer.js';
import type { Session } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import type { Batch } from './evidence.js';
import type { Network } from './network.js';

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
  const needed = ancestors(graph, [info.name]);
  const varying = descendants(graph, [image]);
  const nodes = graph.nodes.filter((node) =>
    node.outputs.some((name) => name !== layer && behind.has(name) && needed.has(name)),
  );
  const read = new Set(nodes.flatMap(readsOf));
  const crossing = [...read].filter((name) => name !== layer && !behind.has(name) && varying.has(name));
  const inputs: ValueInfo[] = [layer, ...crossing].map((name) => valueInfo(graph, name));
  const others = graph.inputs.filter(({ name }) => name !== image && !crossing.includes(name));
  return { layer, crossing, graph: subgraph(graph, [...inputs, ...others], [info]) };
}

export function openHead(network: Network, { layer, graph }: Head): Promise<Session> {
  return network.session(`head ${layer} ${graph.outputs[0].name}`, () => graph);
}

/** What crosses into the head: of the whole batch, or of one picture, `count` times. */
export function headFeeds(
  { crossing }: Head,
  { forward, input, network, images }: Batch,
  image?: number,
  count = 1,
): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const name of crossing) {
    const tensor = name === network.image.name ? input : forward.results[name];
    feeds[name] = image === undefined ? tensor : repeated(tensor, images, image, count);
  }
  return feeds;
}

function repeated(tensor: Tensor, images: number, image: number, count: number): Tensor {
  if (tensor.dims[0] !== images) return tensor; // the same for every picture
  const size = tensor.data.length / images;
  const source = tensor.data as Float32Array;
  const data = new (source.constructor as new (length: number) => Float32Array)(count * size);
  for (let i = 0; i < count; i++) data.set(source.subarray(image * size, (image + 1) * size), i * size);
  return { type: tensor.type, dims: [count, ...tensor.dims.slice(1)], data } as Tensor;
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
  const made = await network.once(`second order ${head.layer} ${scores.info.name}`, async () => {
    const built = await secondOrderGraph(head, scores);
    return {
      ...built,
      session: await network.session(`derivatives ${head.layer} ${scores.info.name}`, () => built.graph),
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

async function secondOrderGraph({ graph, layer }: Head, { info, link }: Scores) {
  const b = new Builder(graph);
  const [seedName, vectorName] = ['seed', 'vector'].map((name) => b.names.free(name));
  b.at('second');
  const dims = info.dims ?? [];
  const log =
    link === 'softmax'
      ? b.op('LogSoftmax', [info.name], { axis: 1 })
      : link === 'sigmoid'
        ? b.neg(b.op('Softplus', [b.neg(info.name)]))
        : info.name;
  const seed: ValueInfo = { name: seedName, type: DataType.FLOAT, dims };
  const vector: ValueInfo = { ...valueInfo(graph, layer), name: vectorName };
  const whole = await inferValues({ ...appended(graph, b), inputs: [...graph.inputs, seed, vector] });
  const first = appendGradient(whole, { of: [{ output: log, seed: seedName }], wrt: [layer] });
  const gradient = first.gradients.get(layer) as string;
  const known = await inferValues(first.graph);
  const second = appendGradient(known, { of: [{ output: gradient, seed: vectorName }], wrt: [layer] });
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
