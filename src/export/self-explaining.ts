import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { appended, Builder, type Name } from '../graph/builder.js';
import { guidedRelu } from '../autodiff/rules/activation.js';
import { appendGradient } from '../autodiff/walk.js';
import { invalid, oneOf, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import { Explainer } from '../explain/explainer.js';
import { type Method, methods } from '../explain/options.js';
import { seedsOf } from '../explain/targets.js';
import { type Graph, producers, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import { type ModelFile, modelFile } from '../graph/model-file.js';
import { type Form, forms } from '../map/backend.js';
import { DataType } from '../onnx/types.js';
import { inferValues } from '../runtime/infer.js';
import { constantJacobian } from '../explain/jacobian.js';
import { guidedMapNodes, normalizedMapNodes, rawMapNodes, type SoftmaxDerivatives } from './map-nodes.js';
import { constantMoments, unrolledMoments } from './softmax-nodes.js';

export interface ExportOptions {
  /** As for `Explainer.open`; default 'auto'. */
  readonly layer?: string | readonly string[];
  readonly preprocess?: string | object;
  readonly output?: string;
  /** Any method but cam; default 'grad-cam++'. */
  readonly method?: Method;
  /** Grad-CAM++ only; default 'exp'. */
  readonly form?: Form;
  /** Explain the n best classes of each picture; default 1. */
  readonly top?: number;
  /** Explain these classes instead: indices, or names that the sidecar knows. */
  readonly classes?: readonly (number | string)[];
}

/** Above this many classes the softmax form of a head that is not linear would make the file too large. */
const mostUnrolledClasses = 64;

const optionKeys = ['layer', 'preprocess', 'output', 'method', 'form', 'top', 'classes'] as const;

/**
 * A model that explains itself: the original outputs, and `explained_classes` int64 [N, T] and
 * `explanation_maps` float32 [N, T, ...input size], normalised, in standard operators only. It runs in any ONNX
 * runtime without this package.
 *
 * @throws GradcamppError as `Explainer.open`, and UNSUPPORTED_MODEL for what no static graph can hold
 */
export async function exportExplained(
  model: string | URL | Uint8Array,
  options: ExportOptions = {},
): Promise<ModelFile> {
  onlyKeys('exportExplained', options, optionKeys);
  const { layer, preprocess, output } = options;
  const explainer = await Explainer.open(model, {
    layer,
    preprocess,
    output,
    backend: 'reference',
    threads: 1,
  });
  try {
    const plan = planOf(explainer, options);
    return modelFile(await build(explainer, plan));
  } finally {
    await explainer.close();
  }
}

interface Plan {
  readonly method: Exclude<Method, 'cam'>;
  readonly form: Form;
  /** T. */
  readonly targets: number;
  readonly classes: readonly number[] | undefined;
  /** M. */
  readonly count: number;
}

function planOf({ scores, classes: names }: Explainer, options: ExportOptions): Plan {
  const method = oneOf('method', options.method ?? 'grad-cam++', methods);
  if (method === 'cam')
    throw invalid(
      'method',
      `one of ${methods.filter((name) => name !== 'cam').join(', ')}`,
      method,
      'On the networks that cam fits, grad-cam gives the same map.',
    );
  if (options.form !== undefined && !method.endsWith('grad-cam++'))
    throw new GradcamppError(
      'INVALID_OPTION',
      `"form" changes grad-cam++ alone; received it with method ${method}. Leave it out.`,
    );
  const dims = (scores.info.dims ?? []).slice(1);
  const count = dims.reduce<number>((product, dim) => product * Number(dim), 1);
  if (options.classes !== undefined && options.top !== undefined)
    throw new GradcamppError('INVALID_OPTION', '"classes" and "top" exclude each other: give one.');
  const classes = options.classes === undefined ? undefined : indicesOf(options.classes, count, names);
  return {
    method,
    form: oneOf('form', options.form ?? 'exp', forms),
    targets: classes?.length ?? wholeNumber('top', options.top ?? 1, 1, count),
    classes,
    count,
  };
}

function indicesOf(
  classes: readonly (number | string)[],
  count: number,
  names: Explainer['classes'],
): number[] {
  const isClass = (item: unknown) => typeof item === 'number' || typeof item === 'string';
  if (!Array.isArray(classes) || classes.length === 0 || !classes.every(isClass))
    throw invalid('classes', 'a list of class indices or names', classes);
  return seedsOf(classes, new Float32Array(count), names).map((seed) => seed.class as number);
}

async function build(explainer: Explainer, plan: Plan): Promise<Graph> {
  const { network, scores } = explainer;
  const { image } = network;
  const jacobian =
    plan.form === 'softmax'
      ? await constantJacobian(await network.differentiator(explainer.layers, scores))
      : undefined;
  const scoresName = scores.info.name;
  let graph: Graph = network.graph;
  const head = new Builder(graph);
  head.at('explain');
  const matrix = head.op('Reshape', [scoresName, head.ints([-1, plan.count])]);
  const classes = classesNodes(head, matrix, plan);
  const p = plan.form === 'softmax' ? head.op('Softmax', [matrix], { axis: -1 }) : undefined;
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
  const outputs = { classes: 'explained_classes', maps: 'explanation_maps' };
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
  explainer: Explainer,
  graph: Graph,
  plan: Plan,
  target: TargetNodes,
): Promise<{ graph: Graph; map: Name }> {
  const { network, scores, layers } = explainer;
  const of = [{ output: scores.info.name, seed: target.seed }];
  const isGuided = plan.method.startsWith('guided-');
  let current = graph;
  let map: Name | undefined;
  if (plan.method !== 'guided-backprop') {
    const made = appendGradient(current, { of, wrt: layers });
    current = await inferValues(made.graph);
    const softmax = layers.map((_, i) => {
      if (plan.form !== 'softmax') return undefined;
      const nodes = softmaxNodes(explainer, current, plan, {
        ...target,
        layer: i,
        own: made.gradients.get(layers[i]) as Name,
      });
      current = nodes.graph;
      return nodes.derivatives;
    });
    const b = new Builder(current);
    b.at('explain');
    const method = isGuided
      ? 'grad-cam++'
      : (plan.method as Exclude<Plan['method'], 'guided-backprop' | 'guided-grad-cam++'>);
    const { size, firstAxis } = spatialOf(explainer);
    const parts = layers.map((name, i) => {
      const dims = valueInfo(network.graph, name).dims ?? [];
      const gradient = made.gradients.get(name) as Name;
      const layer = {
        activations: name,
        gradient,
        pooledGradient: pooledGradient(current, gradient),
        channels: dims[1] as number,
        spatial: dims.slice(2),
      };
      const raw = rawMapNodes(b, layer, method, softmax[i]);
      return normalizedMapNodes(b, raw, size, network.image.name, firstAxis);
    });
    map = parts.length > 1 ? b.op('Mean', parts) : parts[0];
    current = appended(current, b);
  }
  if (!isGuided) return { graph: current, map: map as Name };
  const guided = appendGradient(current, { of, wrt: [network.image.name], rules: { Relu: guidedRelu } });
  const b = new Builder(guided.graph);
  b.at('explain');
  const rank = network.image.dims?.length ?? 4;
  const { channelAxis } = spatialOf(explainer);
  const gradient = guided.gradients.get(network.image.name) as Name;
  const alike =
    map && channelAxis !== 1
      ? b.transpose(map, [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1])
      : map;
  const nodes = guidedMapNodes(b, alike ? b.mul(gradient, alike) : gradient, rank, channelAxis);
  return { graph: appended(guided.graph, b), map: nodes };
}

function softmaxNodes(
  explainer: Explainer,
  graph: Graph,
  plan: Plan,
  target: TargetNodes & { layer: number; own: Name },
): { graph: Graph; derivatives: SoftmaxDerivatives } {
  const { layers, scores, network } = explainer;
  const name = layers[target.layer];
  const rank = valueInfo(network.graph, name).dims?.length ?? 4;
  const ones = Array<number>(rank - 2).fill(1);
  const constant = target.jacobian?.[target.layer];
  const p = target.p as Name;
  let current = graph;
  if (constant) {
    const b = new Builder(current);
    b.at('explain');
    const jacobian = b.floats(constant, [plan.count, constant.length / plan.count]);
    const { first, second, third } = constantMoments(b, { jacobian, p, index: target.index, ones });
    const like = (value: Name) => b.op('Expand', [value, b.op('Shape', [name])]);
    const derivatives = { first: like(first), second, third };
    return { graph: appended(current, b), derivatives };
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
  const probability = (m: number) =>
    b.op('Reshape', [b.op('Gather', [p, b.ints([m])], { axis: 1 }), b.ints([0, 1, ...ones])]);
  const derivatives = unrolledMoments(b, gradients, target.own, probability);
  return { graph: appended(current, b), derivatives };
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
function spatialOf({ preprocessing, network }: Explainer) {
  const dims = network.image.dims ?? [];
  const isLast = preprocessing?.layout === 'NHWC';
  return {
    size: isLast ? dims.slice(1, -1) : dims.slice(2),
    firstAxis: isLast ? 1 : 2,
    channelAxis: isLast ? dims.length - 1 : 1,
  };
}

function metadata({ network, layers }: Explainer, { method, form }: Plan): [string, string][] {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const facts = {
    model: basename(network.name),
    layer: layers.join(', '),
    method,
    ...(method.endsWith('grad-cam++') ? { form } : {}),
    version: String(version),
  };
  return Object.entries(facts).map(([key, value]) => [`gradcampp.${key}`, value]);
}
