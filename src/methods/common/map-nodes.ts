import type { Builder, Name } from '../../graph/builder.js';
import {
  type ChannelMethod,
  type InputMethod,
  type LayerMethod,
  type LayerNodes,
  type PositionMethod,
  ratioNodes,
} from './method.js';
import type { Modifiers } from './modifiers.js';
import { firstPrincipalNodes } from '../eigen-grad-cam.js';

/** A layer inside the graph, and what its dims are. */
export interface ExportedLayer extends LayerNodes {
  /** Spatial dims; '' or a name where only known when the model runs. */
  readonly spatial: readonly (number | string)[];
}

/**
 * The map stage as ONNX nodes: relu(Σ_k w_k A_k) at layer size, [N, 1, ...spatial], or with `eigen` the first principal map of the
 * weighted channels.
 */
export function rawMapNodes(
  b: Builder,
  layer: ExportedLayer,
  method: ChannelMethod | PositionMethod | LayerMethod,
  settings: object,
  { eigen }: Modifiers = {},
): Name {
  const own = settings as never;
  if (method.kind === 'layer' && !method.isSum) return b.op('Relu', [method.nodes!(b, layer, own)]);
  const weights = method.kind === 'position' ? method.nodes!(b, layer) : method.nodes!(b, layer, own);
  if (!eigen && method.kind !== 'position') return weightedSum(b, layer, weights);
  const weighted = b.mul(weights, layer.activations);
  return b.op('Relu', [eigen ? firstPrincipalNodes(b, weighted, layer) : b.reduceSum(weighted, [1])]);
}

/** The number of positions, or the value that holds it. */
export function positionsOf(
  b: Builder,
  activations: Name,
  spatial: readonly (number | string)[],
): number | Name {
  if (spatial.every((dim): dim is number => typeof dim === 'number'))
    return spatial.reduce((product, dim) => product * dim, 1);
  const shape = b.op('Shape', [activations], { start: 2 });
  return b.asFloat(b.op('ReduceProd', [shape, undefined], { keepdims: 0 }));
}

/** relu(Σ_k w_k A_k) as one matrix product a picture. */
function weightedSum(b: Builder, { activations, channels, spatial }: ExportedLayer, weights: Name): Name {
  const matrix = b.op('Reshape', [activations, b.ints([0, channels, -1])]);
  const row = b.op('Reshape', [weights, b.ints([0, 1, channels])]);
  const sum = b.op('Relu', [b.op('MatMul', [row, matrix])]);
  if (spatial.every((dim): dim is number => typeof dim === 'number'))
    return b.reshape(sum, [-1, 1, ...spatial]);
  const shape = b.op('Shape', [activations], { start: 2 });
  return b.op('Reshape', [sum, b.op('Concat', [b.ints([0, 1]), shape], { axis: 0 })]);
}

/**
 * The raw map enlarged to the picture (linear, half-pixel centres) and min–max normalised, [N, 1, ...size].
 *
 * @param imageAxes of the network's input: those of `size`
 */
export function normalizedMapNodes(
  b: Builder,
  raw: Name,
  size: readonly (number | string)[],
  image: Name,
  imageAxes: readonly number[],
): Name {
  const isFixed = size.every((dim): dim is number => typeof dim === 'number');
  const target = isFixed ? b.ints(size) : b.op('Gather', [b.op('Shape', [image]), b.ints(imageAxes)]);
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

/** An attribution as a map in 0…1: its channels become one, [N, 1, ...size]. */
export function inputMapNodes(
  b: Builder,
  attribution: Name,
  { channels, scaled }: Pick<InputMethod, 'channels' | 'scaled'>,
  { rank, channelAxis }: { readonly rank: number; readonly channelAxis: number },
): Name {
  const value = channels === 'sum' ? attribution : b.op('Abs', [attribution]);
  const one =
    channels === 'largest magnitude'
      ? b.op('ReduceMax', [value, b.ints([channelAxis])])
      : b.reduceSum(value, [channelAxis]);
  const places = range(1, rank).filter((axis) => axis !== channelAxis);
  const map = channelAxis === 1 ? one : b.transpose(one, [0, channelAxis, ...places]);
  const axes = b.ints(range(2, rank));
  const most = b.op('ReduceMax', [map, axes]);
  if (scaled === 'maximum') return ratioNodes(b, map, most);
  const least = b.op('ReduceMin', [map, axes]);
  return ratioNodes(b, b.sub(map, least), b.sub(most, least));
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
