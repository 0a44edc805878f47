import { appended, Builder } from '../graph/builder.js';
import { type Graph, subgraph, type ValueInfo } from '../graph/graph.js';
import { pooledToScores, type Scores } from '../graph/scores.js';
import { DataType } from '../onnx/types.js';
import type { Session } from '../runtime/session.js';
import { sizeOf } from '../tensor.js';
import { type Differentiator, release } from './differentiator.js';
import type { Network } from './network.js';
import { scoreCount } from './targets.js';

/**
 * Where every score is the mean of one channel of the layer (SqueezeNet, Network in Network), a class's gradient is
 * 1/(H·W) in its own channel and 0 in all others, which then add nothing to its map. So for the best class, which the
 * graph itself finds, one channel is all that has to leave ONNX Runtime: for SqueezeNet 1 of 1,000. What it gives is as
 * from a layer of one channel, and there is no backward pass.
 *
 * @returns undefined where the scores come from the layer in any other way
 */
export async function openBestChannel(
  { graph, image, fixedBatch }: Pick<Network, 'graph' | 'image' | 'fixedBatch'>,
  layer: string,
  scores: Scores,
  open: (graph: Graph) => Promise<Session>,
): Promise<Differentiator | undefined> {
  if (pooledToScores(graph, scores) !== layer) return undefined;
  const picking = pickBest(graph, image, layer, scores);
  const session = await open(picking.graph);
  return {
    scores,
    count: scoreCount(scores),
    wrt: [layer],
    channels: [1],
    batch: fixedBatch,
    isConstant: true,
    isPooled: [true],
    forward: async (images) => {
      const results = await session.run({ [image.name]: images });
      const { data, dims } = results[picking.picked];
      return {
        scores: results[scores.info.name].data as Float32Array,
        activations: [data as Float32Array],
        dims: [[dims[0], 1, ...dims.slice(1)]],
        saved: {},
        results,
        images: images.dims[0],
      };
    },
    /** For the best class alone, whose seed is not looked at. */
    backward: async ({ images, dims: [[, , ...layerDims]] }) => [
      new Float32Array(images).fill(1 / sizeOf(layerDims)),
    ],
    release,
  };
}

/** The forward pass, and of every picture the layer's channel of the best class: [N, ...layer]. */
function pickBest(
  graph: Graph,
  image: ValueInfo,
  layer: string,
  scores: Scores,
): { graph: Graph; picked: string } {
  const b = new Builder(graph);
  b.at(layer);
  const rows = b.reshape(scores.info.name, [-1, scoreCount(scores)]);
  const best = b.op('ArgMax', [rows], { axis: 1, keepdims: 1 }); // the first of equal ones, as `best` does
  const picked = b.op('GatherND', [layer, best], { batch_dims: 1 });
  const outputs = [scores.info, { name: picked, type: DataType.FLOAT, dims: undefined }];
  return { graph: subgraph(appended(graph, b), [image], outputs), picked };
}
