import type { Builder, Name } from '../graph/builder.js';
import type { MapMethod } from '../map/backend.js';

/** A layer inside the graph: activations and the gradient of one target, [N, K, ...spatial]. */
export interface LayerNodes {
  readonly activations: Name;
  readonly gradient: Name;
  /** The gradient as [N, K, 1, ...], where it is the same at every position (global average pooling follows). */
  readonly pooledGradient?: Name;
  readonly channels: number;
  /** Spatial dims; '' or a name where only known when the model runs. */
  readonly spatial: readonly (number | string)[];
}

/** Second and third derivative of softmax(S)_c, and its first, without the factor p_c. */
export interface SoftmaxDerivatives {
  readonly first: Name;
  readonly second: Name;
  readonly third: Name;
}

/** The map stage (map/reference.ts) as ONNX nodes: relu(Σ_k w_k A_k) at layer size, [N, 1, ...spatial]. */
export function rawMapNodes(
  b: Builder,
  layer: LayerNodes,
  method: Exclude<MapMethod, 'cam'>,
  softmax?: SoftmaxDerivatives,
): Name {
  const { activations, gradient } = layer;
  const axes = layer.spatial.map((_, i) => i + 2);
  if (layer.pooledGradient && !softmax)
    return weightedSum(b, layer, pooledWeights(b, layer, layer.pooledGradient, method));
  switch (method) {
    case 'hires-cam':
      return b.op('Relu', [b.reduceSum(b.mul(gradient, activations), [1])]);
    case 'layer-cam':
      return b.op('Relu', [b.reduceSum(b.mul(b.op('Relu', [gradient]), activations), [1])]);
    case 'grad-cam':
      return weightedSum(b, layer, b.reduceMean(gradient, axes));
    case 'xgrad-cam': {
      const product = b.reduceSum(b.mul(activations, gradient), axes);
      return weightedSum(b, layer, ratio(b, product, b.reduceSum(activations, axes)));
    }
    case 'grad-cam++': {
      const sums = b.reduceSum(activations, axes);
      const positive = b.op('Relu', [softmax?.first ?? gradient]);
      const weight = softmax
        ? b.mul(
            ratio(b, softmax.second, b.add(b.scale(softmax.second, 2), b.mul(sums, softmax.third))),
            positive,
          )
        : ratio(b, positive, b.add(b.mul(gradient, sums), b.scalar(2)));
      return weightedSum(b, layer, b.reduceSum(weight, axes));
    }
  }
}

/** The weights where the gradient is one number a channel, [N, K, 1, ...]: sums over positions become products. */
function pooledWeights(
  b: Builder,
  { activations, spatial }: LayerNodes,
  gradient: Name,
  method: Exclude<MapMethod, 'cam'>,
): Name {
  const axes = spatial.map((_, i) => i + 2);
  const sums = () => b.reduceSum(activations, axes);
  if (method === 'layer-cam') return b.op('Relu', [gradient]);
  if (method === 'xgrad-cam') return b.where(b.op('Equal', [sums(), b.scalar(0)]), b.scalar(0), gradient);
  if (method !== 'grad-cam++') return gradient;
  const share = ratio(b, b.op('Relu', [gradient]), b.add(b.mul(gradient, sums()), b.scalar(2)));
  if (spatial.every((dim): dim is number => typeof dim === 'number'))
    return b.scale(
      share,
      spatial.reduce((product, dim) => product * dim, 1),
    );
  const shape = b.op('Shape', [activations], { start: 2 });
  return b.mul(share, b.asFloat(b.op('ReduceProd', [shape, undefined], { keepdims: 0 })));
}

/** relu(Σ_k w_k A_k) as one matrix product a picture. */
function weightedSum(b: Builder, { activations, channels, spatial }: LayerNodes, weights: Name): Name {
  const matrix = b.op('Reshape', [activations, b.ints([0, channels, -1])]);
  const row = b.op('Reshape', [weights, b.ints([0, 1, channels])]);
  const sum = b.op('Relu', [b.op('MatMul', [row, matrix])]);
  if (spatial.every((dim): dim is number => typeof dim === 'number'))
    return b.reshape(sum, [-1, 1, ...spatial]);
  const shape = b.op('Shape', [activations], { start: 2 });
  return b.op('Reshape', [sum, b.op('Concat', [b.ints([0, 1]), shape], { axis: 0 })]);
}

/** a / c, and 0 where c is exactly 0. */
function ratio(b: Builder, a: Name, c: Name): Name {
  const isZero = b.op('Equal', [c, b.scalar(0)]);
  return b.where(isZero, b.scalar(0), b.div(a, b.where(isZero, b.scalar(1), c)));
}

/** The raw map enlarged to the picture (linear, half-pixel centres) and min–max normalised, [N, 1, ...size]. */
export function normalizedMapNodes(
  b: Builder,
  raw: Name,
  size: readonly (number | string)[],
  image: Name,
  firstAxis: number,
): Name {
  const rank = size.length;
  const isFixed = size.every((dim): dim is number => typeof dim === 'number');
  const target = isFixed ? b.ints(size) : b.op('Shape', [image], { start: firstAxis, end: firstAxis + rank });
  const leading = b.op('Shape', [raw], { start: 0, end: 2 });
  const sizes = b.op('Concat', [leading, target], { axis: 0 });
  const map = b.op('Resize', [raw, undefined, undefined, sizes], {
    mode: 'linear',
    coordinate_transformation_mode: 'half_pixel',
  });
  const axes = size.map((_, i) => i + 2);
  const least = b.op('ReduceMin', [map, b.ints(axes)]);
  const most = b.op('ReduceMax', [map, b.ints(axes)]);
  const range = b.sub(most, least);
  const flat = b.op('Equal', [range, b.scalar(0)]);
  const constant = b.asFloat(b.op('Greater', [most, b.scalar(0)]));
  return b.where(flat, constant, b.div(b.sub(map, least), b.where(flat, b.scalar(1), range)));
}

/** Guided backpropagation as a map: magnitudes summed over channels, divided by their maximum, [N, 1, ...size]. */
export function guidedMapNodes(b: Builder, attribution: Name, rank: number, channelAxis: number): Name {
  const sum = b.reduceSum(b.op('Abs', [attribution]), [channelAxis]);
  const magnitude = channelAxis === 1 ? sum : b.transpose(sum, [0, rank - 1, ...range(1, rank - 1)]);
  return ratio(b, magnitude, b.op('ReduceMax', [magnitude, b.ints(range(2, rank))]));
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
