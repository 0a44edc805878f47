import type { Name } from '../graph/builder.js';
import { GradcamppError } from '../errors.js';
import { methodNamed, methodNames } from '../methods/index.js';
import { positionsOf, rawMapNodes } from '../methods/common/map-nodes.js';
import type { AnyMethod, ChannelMethod, PositionMethod } from '../methods/common/method.js';
import { type OptionsOf, readOptions, type Stage } from '../options.js';
import type { NetworkBuilder } from './network-builder.js';

/** What a map is made of. */
export interface MapOptions {
  /** Scores before softmax, [N, M]. */
  readonly scores: Name;
  /** What is explained of each picture: its class one-hot, or several classes as one sum, [N, M]. */
  readonly labels: Name;
  /** The layer, [N, K, …spatial]. */
  readonly layer: Name;
  /** Any method that weighs channels or positions by gradients; default grad-cam++. */
  readonly method?: string;
  /** The method's own options. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** The class activation map as nodes, relu(Σ_k w_k A_k), [N, 1, …spatial of the layer]. e^S is left out, as in every map. */
export function mapNodes(
  b: NetworkBuilder,
  { scores, labels, layer, method: name = 'grad-cam++', settings = {} }: MapOptions,
): Name {
  const method = differentiable(methodNamed(name));
  const own = readOptions(name, method.options as Stage, settings as OptionsOf<Stage>);
  if (method.alsoNeeds?.(own as never).length) throw refusal(`${name} with these settings`);
  const [, channels, ...spatial] = b.dims(layer);
  if (typeof channels !== 'number' || spatial.length === 0)
    throw new GradcamppError(
      'INVALID_LAYER',
      `Layer "${layer}" must be a value of dims [N, K, …] with a known number of channels; it is [${b.dims(layer).join(', ')}].`,
    );
  const gradient = b.gradient(scores, labels, layer);
  b.at('map');
  return rawMapNodes(
    b,
    {
      activations: layer,
      gradient,
      axes: spatial.map((_, axis) => axis + 2),
      positions: positionsOf(b, layer, spatial),
      channels,
      spatial,
    },
    method,
    own,
  );
}

type Differentiable = ChannelMethod | PositionMethod;

function differentiable(method: AnyMethod): Differentiable {
  if (isDifferentiable(method)) return method;
  throw refusal(method.name);
}

function isDifferentiable(method: AnyMethod): method is Differentiable {
  if (method.kind !== 'channel' && method.kind !== 'position') return false;
  if (method.kind === 'channel' && method.refuses !== undefined) return false;
  const given = ['activations', 'gradients'];
  return method.nodes !== undefined && method.needs.every((need) => given.includes(need));
}

function refusal(what: string): GradcamppError {
  const names = methodNames.filter((name) => isDifferentiable(methodNamed(name)));
  return new GradcamppError(
    'INVALID_OPTION',
    `Maps of ${what} cannot be trained on: use one of ${names.join(', ')}.`,
  );
}

/** How maps are made comparable before they are compared. */
export const normalizations = ['l2', 'raw', 'max', 'min-max'] as const;
export type Normalization = (typeof normalizations)[number];

/** Added below roots and to denominators, so that a map of zeros stays one and passes no gradient. */
const epsilon = { root: 1e-12, range: 1e-8 } as const;

/**
 * A map [N, 1, …] as it is compared: 'l2' M / √(ΣM² + 1e-12), 'max' M / (max M + 1e-8), 'min-max'
 * (M − min M) / (max M − min M + 1e-8), 'raw' M.
 */
export function normalized(b: NetworkBuilder, map: Name, rank: number, normalization: Normalization): Name {
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const most = () => b.op('ReduceMax', [map, b.ints(axes)]);
  switch (normalization) {
    case 'raw':
      return map;
    case 'l2': {
      const squares = b.reduceSum(b.square(map), axes);
      return b.div(map, b.op('Sqrt', [b.add(squares, b.scalar(epsilon.root))]));
    }
    case 'max':
      return b.div(map, b.add(most(), b.scalar(epsilon.range)));
    default: {
      const least = b.op('ReduceMin', [map, b.ints(axes)]);
      return b.div(b.sub(map, least), b.add(b.sub(most(), least), b.scalar(epsilon.range)));
    }
  }
}

/** How many of the maps are zero everywhere, of pictures that have a class in `labels` [N, M]; dims []. */
export function zeroMaps(b: NetworkBuilder, map: Name, labels: Name): Name {
  const flat = b.reduceSum(b.op('Flatten', [map], { axis: 1 }), [1], 0);
  const isZero = b.asFloat(b.op('Equal', [flat, b.zero()]));
  return b.op('ReduceSum', [b.mul(isZero, hasClass(b, labels))], { keepdims: 0 });
}

/** 1 of pictures that have a class in `labels` [N, M], 0 of others; dims [N]. */
export function hasClass(b: NetworkBuilder, labels: Name): Name {
  return b.op('ReduceMax', [labels, b.ints([1])], { keepdims: 0 });
}

/** What is explained of each picture, class by class: [N, M] as it is, the rows of [N, P, M] as P times [N, M]. */
export function classRows(b: NetworkBuilder, labels: Name): Name[] {
  const [, count, ...rest] = b.dims(labels);
  if (rest.length === 0) return [labels];
  return Array.from({ length: count as number }, (_, p) => b.op('Gather', [labels, b.int(p)], { axis: 1 }));
}

/** Given maps [N, P, …] at the size of the layer: linear, half-pixel centres, averaging where it is made smaller. */
export function fitted(b: NetworkBuilder, map: Name, layer: Name): Name {
  const [own, wanted] = [b.dims(map).slice(2), b.dims(layer).slice(2)];
  if (own.length === wanted.length && own.every((dim, i) => dim === wanted[i])) return map;
  const leading = b.op('Shape', [map], { start: 0, end: 2 });
  const sizes = b.op('Concat', [leading, b.op('Shape', [layer], { start: 2 })], { axis: 0 });
  return b.op('Resize', [map, undefined, undefined, sizes], {
    mode: 'linear',
    coordinate_transformation_mode: 'half_pixel',
    antialias: 1,
  });
}
