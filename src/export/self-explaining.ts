import { basename } from 'node:path';
import { appended, Builder, type Name } from '../graph/builder.js';
import { guidedRelu } from '../autodiff/rules/activation.js';
import { appendGradient } from '../autodiff/walk.js';
import { wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import { NetworkExplainer } from '../explain/network-explainer.js';
import { channelAxisOf } from '../explain/input.js';
import { constantJacobian } from '../explain/jacobian.js';
import { settingsOf } from '../explain/explain-options.js';
import { rowSize } from '../explain/rows.js';
import { type Graph, producers, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import { type ModelFile, modelFile } from '../graph/model-file.js';
import { isPicture } from '../graph/tokens.js';
import { methodNamed, needsOf } from '../methods/index.js';
import type { AnyMethod, LayerNodes } from '../methods/method.js';
import { DataType } from '../onnx/types.js';
import { onlyOneOf, readOptions, type SettingsOf } from '../options.js';
import { version } from '../package.js';
import { inferValues } from '../runtime/infer.js';
import { goalsOf } from '../targets/index.js';
import { type ExportOptions, exportOptions } from './export-options.js';
import { layoutNodes } from './layout-nodes.js';
import {
  type ExportedLayer,
  inputMapNodes,
  normalizedMapNodes,
  positionsOf,
  rawMapNodes,
} from '../methods/map-nodes.js';
import { constantMoments, unrolledMoments } from './softmax-nodes.js';

/** Above this many classes the softmax form of a head that is not linear would make the file too large. */
const mostUnrolledClasses = 64;

/**
 * A model that explains itself: the original outputs, and `explained_classes` int64 [N, T] and
 * `explanation_maps` float32 [N, T, ...input size], normalised, in standard operators only. It runs in any ONNX
 * runtime without this package. Where the model has values of these names, a number follows: `explanation_maps_2`.
 *
 * @throws GradcamppError as `Explainer.open`, and UNSUPPORTED_MODEL for what no static graph can hold
 */
export async function exportExplained(
  model: string | URL | Uint8Array,
  options: ExportOptions = {},
): Promise<ModelFile> {
  const settings = readOptions('exportExplained', exportOptions, options);
  onlyOneOf(options, ['classes', 'top']);
  const { layer, tokens, preprocess, output } = settings;
  const explainer = await NetworkExplainer.open(model, {
    layer,
    tokens,
    preprocess,
    output,
    backend: 'reference',
    threads: 1,
  });
  try {
    return modelFile(await build(explainer, planOf(explainer, settings)));
  } finally {
    await explainer.close();
  }
}

interface Plan {
  readonly method: AnyMethod;
  /** The method's own. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly needsMoments: boolean;
  /** T. */
  readonly targets: number;
  readonly classes: readonly number[] | undefined;
  /** M. */
  readonly count: number;
}

function planOf(explainer: NetworkExplainer, options: SettingsOf<typeof exportOptions>): Plan {
  const { scores, classes: names } = explainer;
  const { method: name, form } = options;
  const [{ settings }] = settingsOf({ method: name, ...(form === undefined ? {} : { form }) }).variants;
  const method = methodNamed(name);
  const M = rowSize(scores.info.dims ?? []);
  const row = { data: new Float32Array(M), dims: [M] };
  const facts = { classes: names, link: scores.link, size: [1, 1], channelsLast: false, output: () => row };
  const classes =
    options.classes && goalsOf(options.classes, row, facts).map(({ goal }) => goal.class as number);
  return {
    method,
    settings,
    needsMoments: needsOf(method, settings as never).includes('moments'),
    targets: classes?.length ?? wholeNumber('top', options.top ?? 1, 1, M),
    classes,
    count: M,
  };
}

async function build(explainer: NetworkExplainer, plan: Plan): Promise<Graph> {
  const { network, scores } = explainer;
  const { image } = network;
  const jacobian = plan.needsMoments
    ? await constantJacobian(await network.differentiator(explainer.explained, scores))
    : undefined;
  const scoresName = scores.info.name;
  let graph: Graph = network.graph;
  const head = new Builder(graph);
  head.at('explain');
  const matrix = head.op('Reshape', [scoresName, head.ints([-1, plan.count])]);
  const classes = classesNodes(head, matrix, plan);
  const p = plan.needsMoments ? head.op('Softmax', [matrix], { axis: -1 }) : undefined;
  const seeds = Array.from({ length: plan.targets }, (_, t) => {
    const index = head.op('Gather', [classes, head.int(t)], { axis: 1 });
    return { index, seed: seedNodes(head, index, scores.info, plan.count) };
  });
  const maps: Name[] = [];
  graph = appended(graph, head);
  for (const { index, seed } of seeds) {
    const made = await targetMaps(explainer, graph, plan, { index, seed, p, jacobian });
    graph = made.graph;
    maps.push(made.map);
  }
  const tail = new Builder(graph);
  tail.at('explain');
  const outputs = {
    classes: tail.names.free('explained_classes'), // not those of a model that was exported before
    maps: tail.names.free('explanation_maps'),
  };
  const stacked = maps.length > 1 ? tail.op('Concat', maps, { axis: 1 }) : maps[0];
  tail.copy(classes, outputs.classes);
  tail.copy(stacked, outputs.maps);
  graph = appended(graph, tail);
  const batch = image.dims?.[0] ?? 'N';
  const size = spatialOf(explainer).size;
  const infos: ValueInfo[] = [
    { name: outputs.classes, type: DataType.INT64, dims: [batch, plan.targets] },
    { name: outputs.maps, type: DataType.FLOAT, dims: [batch, plan.targets, ...size] },
  ];
  const original = network.graph.outputs.map((info) => valueInfo(network.graph, info.name));
  const result = subgraph(graph, graph.inputs, [...original, ...infos]);
  return { ...result, metadata: new Map([...result.metadata, ...metadata(explainer, plan)]) };
}

/** Class indices, [N, T]: the best of each picture, or the ones that were asked for. */
function classesNodes(b: Builder, matrix: Name, { classes, targets }: Plan): Name {
  if (!classes) return b.ops('TopK', [matrix, b.ints([targets])], 2, { axis: -1 })[1];
  const batch = b.op('Shape', [matrix], { start: 0, end: 1 });
  const shape = b.op('Concat', [batch, b.ints([targets])], { axis: 0 });
  return b.op('Expand', [b.ints(classes), shape]);
}

/** One-hot upstream gradient with the dims of the scores. */
function seedNodes(b: Builder, index: Name, { dims }: ValueInfo, count: number): Name {
  const hot = b.op('OneHot', [index, b.int(count), b.floats([0, 1], [2])], { axis: -1 });
  return dims?.length === 2 ? hot : b.reshape(hot, [-1, ...((dims?.slice(1) ?? []) as number[])]);
}

interface TargetNodes {
  readonly index: Name;
  readonly seed: Name;
  readonly p: Name | undefined;
  /** [M, K] of each layer, where the head is linear behind global average pooling. */
  readonly jacobian: readonly (Float32Array | undefined)[] | undefined;
}

/** Nodes for one target: its gradients, then its map [N, 1, ...size]. */
async function targetMaps(
  explainer: NetworkExplainer,
  graph: Graph,
  plan: Plan,
  target: TargetNodes,
): Promise<{ graph: Graph; map: Name }> {
  const { network, scores } = explainer;
  const { method, settings } = plan;
  const of = [{ output: scores.info.name, seed: target.seed }];
  if (method.kind !== 'input') return layerMaps(explainer, graph, { ...plan, method }, target);
  const factor =
    method.times === undefined
      ? undefined
      : await layerMaps(
          explainer,
          graph,
          { ...plan, method: methodNamed(method.times) as LayerKind, settings },
          target,
        );
  const isGuided = method.needs.includes('guided gradients');
  const made = appendGradient(factor?.graph ?? graph, {
    of,
    wrt: [network.image.name],
    rules: isGuided ? { Relu: guidedRelu } : {},
  });
  const b = new Builder(made.graph);
  b.at('explain');
  const rank = network.image.dims?.length ?? 4;
  const { channelAxis } = spatialOf(explainer);
  const gradient = made.gradients.get(network.image.name) as Name;
  const attribution = method.nodes!(b, { image: network.image.name, gradient });
  const alike =
    factor && channelAxis !== 1
      ? b.transpose(factor.map, [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1])
      : factor?.map;
  const whole = alike ? b.mul(attribution, alike) : attribution;
  const map = inputMapNodes(b, whole, method, { rank, channelAxis });
  return { graph: appended(made.graph, b), map };
}

type LayerKind = Exclude<AnyMethod, { kind: 'input' }>;

/** Maps of the layers' size, as one [N, 1, ...size]. */
async function layerMaps(
  explainer: NetworkExplainer,
  graph: Graph,
  plan: Plan & { readonly method: LayerKind },
  target: TargetNodes,
): Promise<{ graph: Graph; map: Name }> {
  const { network, scores, layers, explained } = explainer;
  const { method, settings } = plan;
  const needsGradients = method.needs.includes('gradients');
  const made = needsGradients
    ? appendGradient(graph, { of: [{ output: scores.info.name, seed: target.seed }], wrt: layers })
    : undefined;
  let current = await inferValues(made?.graph ?? graph);
  const derivatives = layers.map((name, i) => {
    if (!plan.needsMoments) return undefined;
    const own = made?.gradients.get(name) as Name;
    const nodes = softmaxNodes(explainer, current, plan, { ...target, layer: i, own });
    current = nodes.graph;
    return nodes.derivatives;
  });
  const b = new Builder(current);
  b.at('explain');
  const { size, firstAxis } = spatialOf(explainer);
  const parts = explained.map((own, i) => {
    const [, channels, ...spatial] = own.dims;
    const gradient = made?.gradients.get(own.name);
    const activations = layoutNodes(b, own.name, own);
    const layer: ExportedLayer = {
      activations,
      gradient: gradient === undefined ? activations : gradientNodes(b, current, gradient, own),
      axes: spatial.map((_, axis) => axis + 2),
      positions: positionsOf(b, activations, spatial),
      channels: channels as number,
      spatial,
      derivatives: derivatives[i],
    };
    return normalizedMapNodes(
      b,
      rawMapNodes(b, layer, method, settings),
      size,
      network.image.name,
      firstAxis,
    );
  });
  const map = parts.length > 1 ? b.op('Mean', parts) : parts[0];
  return { graph: appended(current, b), map };
}

function softmaxNodes(
  explainer: NetworkExplainer,
  graph: Graph,
  plan: Plan,
  target: TargetNodes & { layer: number; own: Name },
): { graph: Graph; derivatives: NonNullable<LayerNodes['derivatives']> } {
  const { explained, scores } = explainer;
  const layer = explained[target.layer];
  const { name } = layer;
  const constant = target.jacobian?.[target.layer];
  const p = target.p as Name;
  let current = graph;
  if (constant) {
    const b = new Builder(current);
    b.at('explain');
    const jacobian = b.floats(constant, [plan.count, constant.length / plan.count]);
    const ones = layer.dims.slice(2).map(() => 1);
    const { first, second, third } = constantMoments(b, { jacobian, p, index: target.index, ones });
    return { graph: appended(current, b), derivatives: { first, second, third } };
  }
  if (plan.count > mostUnrolledClasses)
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `The softmax form needs the gradients of all ${plan.count} classes; behind layer "${name}" the head is not linear, and a file can hold at most ${mostUnrolledClasses} of them. Use form exp, or a layer right before global average pooling.`,
    );
  const gradients = Array.from({ length: plan.count }, (_, m) => {
    const b = new Builder(current);
    b.at('explain');
    const index = b.op('Mul', [target.index, b.int(0)]);
    const seed = seedNodes(b, b.op('Add', [index, b.int(m)]), scores.info, plan.count);
    const made = appendGradient(appended(current, b), {
      of: [{ output: scores.info.name, seed }],
      wrt: [name],
    });
    current = made.graph;
    return made.gradients.get(name) as Name;
  });
  const b = new Builder(current);
  b.at('explain');
  const ones = layer.dims.slice(2).map(() => 1);
  const probability = (m: number) =>
    b.op('Reshape', [b.op('Gather', [p, b.ints([m])], { axis: 1 }), b.ints([0, 1, ...ones])]);
  const laidOut = gradients.map((gradient) => layoutNodes(b, gradient, layer));
  const derivatives = unrolledMoments(b, laidOut, layoutNodes(b, target.own, layer), probability);
  return { graph: appended(current, b), derivatives };
}

/** The gradient laid out as its layer; [N, K, 1, …] where it is the same at every place of a picture. */
function gradientNodes(b: Builder, graph: Graph, gradient: Name, layer: Layer): Name {
  const pooled = isPicture(layer.layout, layer.shape.length) ? pooledGradient(graph, gradient) : undefined;
  return pooled ?? layoutNodes(b, gradient, layer);
}

/** What an Expand over the spatial axes made the gradient from: [N, K, 1, ...]. */
function pooledGradient(graph: Graph, gradient: Name): Name | undefined {
  const node = producers(graph).get(gradient);
  if (node?.opType !== 'Expand') return undefined;
  const [from, to] = [node.inputs[0], gradient].map((name) => valueInfo(graph, name).dims);
  const isPooled =
    from?.length === to?.length && from?.[1] === to?.[1] && from?.slice(2).every((dim) => dim === 1);
  return isPooled ? node.inputs[0] : undefined;
}

/** Where the network's input has its channels and its spatial dims. */
function spatialOf({ preprocessing, network }: NetworkExplainer) {
  const dims = network.image.dims ?? [];
  const channelAxis = channelAxisOf(preprocessing, network.image) + 1;
  return {
    size: dims.filter((_, axis) => axis > 0 && axis !== channelAxis),
    firstAxis: channelAxis === 1 ? 2 : 1,
    channelAxis,
  };
}

function metadata({ network, layers }: NetworkExplainer, { method, settings }: Plan): [string, string][] {
  const facts = {
    model: basename(network.name),
    layer: layers.join(', '),
    method: method.name,
    ...(settings.form === undefined ? {} : { form: String(settings.form) }),
    version,
  };
  return Object.entries(facts).map(([key, value]) => [`gradcampp.${key}`, value]);
}
