import { basename } from 'node:path';
import { appended, Builder, type Name } from '../graph/builder.js';
import { guidedRelu } from '../autodiff/rules/activation.js';
import { appendGradient } from '../autodiff/walk.js';
import { GradcamppError, show } from '../errors.js';
import { settingsOf } from '../explain/explain-options.js';
import { logProbability } from '../explain/head.js';
import { channelAxisOf, type ImageInput, prepareImages } from '../explain/input.js';
import { constantJacobian } from '../explain/jacobian.js';
import { tokenCells } from '../explain/layout.js';
import { NetworkExplainer } from '../explain/network-explainer.js';
import { rowSize, rowsOf } from '../explain/rows.js';
import { type Graph, producers, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import { type ModelFile, modelFile } from '../graph/model-file.js';
import type { Scores } from '../graph/scores.js';
import { isPicture } from '../graph/tokens.js';
import { methodNamed, needsOf } from '../methods/index.js';
import {
  type ExportedLayer,
  inputMapNodes,
  normalizedMapNodes,
  positionsOf,
  rawMapNodes,
} from '../methods/common/map-nodes.js';
import type { AnyMethod, AttentionNodes, LayerNodes } from '../methods/common/method.js';
import type { Modifiers } from '../methods/common/modifiers.js';
import { DataType } from '../onnx/types.js';
import { readOptions, type SettingsOf } from '../options.js';
import { version } from '../package.js';
import { random } from '../random-stream.js';
import { inferValues } from '../runtime/infer.js';
import { exportableTargets, kindOf, outputOf, readsOf, type Target, targetLists } from '../targets/index.js';
import { constantNodes, forAll, oneHot, unsqueezed } from '../targets/common/nodes.js';
import type { Facts, GoalNodes, OutputNodes, Row, TargetKind } from '../targets/target.js';
import { sizeOf } from '../tensor.js';
import { type ExportOptions, exportOptions } from './export-options.js';
import { layoutNodes } from './layout-nodes.js';
import { constantMoments, unrolledMoments } from './softmax-nodes.js';

/** Above this many classes the softmax form of a head that is not linear would make the file too large. */
const mostUnrolledClasses = 64;

/**
 * A model that explains itself: the original outputs, and `explained_classes` int64 [N, T] (−1 where a target is no class) and
 * `explanation_maps` float32 [N, T, ...input size], normalised, in standard operators only. It runs in any ONNX
 * runtime without this package. Where the model has values of these names, a number follows: `explanation_maps_2`.
 *
 * Where a picture has fewer segments or objects than were asked for, the maps of the others are 0.
 *
 * @throws GradcamppError as `Explainer.open`, INVALID_TARGET, and UNSUPPORTED_MODEL for what no static graph can hold
 */
export async function exportExplained(
  model: string | URL | Uint8Array,
  options: ExportOptions = {},
): Promise<ModelFile> {
  const settings = readOptions('exportExplained', exportOptions, options);
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
    return modelFile(await build(explainer, settings));
  } finally {
    await explainer.close();
  }
}

interface Plan {
  readonly method: AnyMethod;
  /** The method's own. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly modifiers: Modifiers;
  readonly combine: ExportSettings['combine'];
  readonly needsMoments: boolean;
}
type ExportSettings = SettingsOf<typeof exportOptions>;

function planOf(options: ExportSettings): Plan {
  const { method: name, form, alphaNormalization, gradientRelu, eigen, combine } = options;
  const given = Object.entries({ form, alphaNormalization, gradientRelu, eigen });
  const own = Object.fromEntries(given.filter(([, value]) => value !== undefined));
  const [{ settings, modifiers }] = settingsOf({ method: name, ...own }).variants;
  const method = methodNamed(name);
  const needsMoments = needsOf(method, settings as never).includes('moments');
  return { method, settings, modifiers, combine, needsMoments };
}

/** A goal, and the scores that it is found in. */
interface TargetNodes extends GoalNodes {
  readonly scores: Scores;
}

async function build(explainer: NetworkExplainer, options: ExportSettings): Promise<Graph> {
  const plan = planOf(options);
  const [list] = targetLists(explainer.targetsOf(options), undefined, 1);
  for (const kind of list.map(kindOf))
    if (!kind.nodes && !kind.isConstant) throw notExportable(kind as TargetKind);
  await explainer.targets.check(list);
  const ready = await explainer.targets.ready(list);
  await refuseLayers(explainer, plan, ready);
  const { network } = explainer;
  let graph: Graph = network.graph;
  const targets: TargetNodes[] = [];
  for (const target of ready) {
    const head = new Builder(graph);
    head.at('explain');
    targets.push(...(await targetNodes(explainer, head, target)));
    graph = appended(graph, head);
  }
  const maps: Name[] = [];
  for (const target of targets) {
    const made = await targetMaps(explainer, graph, plan, target);
    graph = made.graph;
    maps.push(made.map);
  }
  const tail = new Builder(graph);
  tail.at('explain');
  const outputs = {
    classes: tail.names.free('explained_classes'), // not those of a model that was exported before
    maps: tail.names.free('explanation_maps'),
  };
  const columns = targets.map((target) => unsqueezed(tail, target.class, 1));
  const stacked = (parts: readonly Name[]) =>
    parts.length > 1 ? tail.op('Concat', parts, { axis: 1 }) : parts[0];
  tail.copy(stacked(columns), outputs.classes);
  tail.copy(stacked(maps), outputs.maps);
  graph = appended(graph, tail);
  const batch = network.image.dims?.[0] ?? 'N';
  const { size } = spatialOf(explainer);
  const T = targets.length;
  const infos: ValueInfo[] = [
    { name: outputs.classes, type: DataType.INT64, dims: [batch, T] },
    { name: outputs.maps, type: DataType.FLOAT, dims: [batch, T, ...size] },
  ];
  const original = network.graph.outputs.map((info) => valueInfo(network.graph, info.name));
  const result = subgraph(graph, graph.inputs, [...original, ...infos]);
  return { ...result, metadata: new Map([...result.metadata, ...metadata(explainer, plan)]) };
}

/** Methods may refuse a layer that is not right before global average pooling, say. */
async function refuseLayers(
  { network, explained, targets }: NetworkExplainer,
  { method }: Plan,
  ready: readonly Target[],
): Promise<void> {
  if (!('refuses' in method) || !method.refuses) return;
  for (const output of new Set(ready.map(outputOf))) {
    const { isPooled, isConstant } = await network.differentiator(explained, targets.scoresOf(output));
    for (const own of isPooled) {
      const refusal = method.refuses({ isPooled: own, isLinear: isConstant });
      if (refusal !== undefined) throw new GradcamppError('UNSUPPORTED_MODEL', refusal);
    }
  }
}

/** The goals of a target as nodes. */
async function targetNodes(explainer: NetworkExplainer, b: Builder, target: Target): Promise<TargetNodes[]> {
  const kind = kindOf(target);
  const scores = explainer.targets.scoresOf(outputOf(target));
  const output = {
    value: scores.info.name,
    dims: scores.info.dims ?? [],
    network: explainer.targets.facts(scores),
    probe: () => probe(explainer, target, scores),
  };
  const goals = kind.isConstant?.(target)
    ? await constantGoals(b, target, output)
    : await kind.nodes?.(target, b, output);
  if (!goals) throw notExportable(kind as TargetKind);
  return goals.map((goal) => ({ ...goal, scores }));
}

async function constantGoals(b: Builder, target: Target, output: OutputNodes): Promise<GoalNodes[]> {
  const { row, facts } = await output.probe();
  const goals = kindOf(target).find(target, row, facts);
  return constantNodes(b, goals, row, output);
}

function notExportable({ name, nodes, isConstant, constantIf }: TargetKind): GradcamppError {
  const others = exportableTargets.filter((other) => other !== name).join(', ');
  const advice = constantIf === undefined ? '' : `name ${constantIf}, or `;
  const why =
    nodes || isConstant
      ? 'asked for in this way it depends on the values of each picture'
      : 'no graph holds how it is found in a picture';
  return new GradcamppError(
    'INVALID_TARGET',
    `The target ${show(name)} cannot be exported, since ${why}; ${advice}use one of ${others}.`,
  );
}

/** What the network gives for a picture of noise. */
async function probe(
  { network, preprocessing, clips, feeds, targets }: NetworkExplainer,
  target: Target,
  scores: Scores,
): Promise<{ row: Row; facts: Facts }> {
  const { image } = network;
  const numbers = random('probe');
  const [height, width] = preprocessing?.size ?? [1, 1];
  const pixels = () => Uint8ClampedArray.from({ length: height * width * 3 }, () => numbers.below(256));
  const dims = (image.dims ?? []).slice(1).map((dim) => (typeof dim === 'number' ? dim : unknownSize));
  const noise = () => Float32Array.from({ length: sizeOf(dims) }, () => 2 * numbers.uniform() - 1);
  const input = preprocessing
    ? { data: pixels(), width, height, channels: 3 as const }
    : ({ type: 'float32', dims, data: noise() } as const);
  const [prepared] = await prepareImages(input as ImageInput, preprocessing, network);
  const N = network.fixedBatch ?? 1;
  const data = new Float32Array(N * prepared.tensor.length);
  for (let n = 0; n < N; n++) data.set(prepared.tensor, n * prepared.tensor.length);
  const passes = await network.forward([], scores, readsOf([target]));
  const forward = await passes.forward({
    ...feeds.of(0, 1, 1, N),
    [image.name]: { type: 'float32', dims: [N, ...prepared.dims], data },
  });
  const { output, classes, channelsLast } = targets.facts(scores);
  const axis = channelAxisOf(preprocessing, image, clips);
  const facts = {
    classes,
    link: output.link,
    channelsLast,
    size: prepared.dims.filter((_, i) => i !== axis),
    output: (name: string) => rowsOf(forward.results[name], N)[0],
  };
  return { row: rowsOf(forward.scores, N)[0], facts };
}

/** For dims of the input that nothing tells. */
const unknownSize = 64;

/** Nodes for one target: its gradients, then its map [N, 1, ...size]. */
async function targetMaps(
  explainer: NetworkExplainer,
  graph: Graph,
  plan: Plan,
  target: TargetNodes,
): Promise<{ graph: Graph; map: Name }> {
  const { network } = explainer;
  const { method } = plan;
  const of = [{ output: target.scores.info.name, seed: target.seed }];
  if (method.kind !== 'input') return layerMaps(explainer, graph, { ...plan, method }, target);
  const factor =
    method.times === undefined
      ? undefined
      : await layerMaps(
          explainer,
          graph,
          { ...plan, method: methodNamed(method.times) as LayerKind },
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
  const order = Array.from({ length: rank }, (_, i) => i);
  const asInput = order.toSpliced(1, 1).toSpliced(channelAxis, 0, 1);
  const alike = factor && channelAxis !== 1 ? b.transpose(factor.map, asInput) : factor?.map;
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
  const { network, layers, explained, layerProblem } = explainer;
  if (layerProblem) throw layerProblem;
  const { method, settings, modifiers, combine, needsMoments } = plan;
  const needsGradients = method.needs.includes('gradients');
  const of = [{ output: target.scores.info.name, seed: target.seed }];
  const made = needsGradients ? appendGradient(graph, { of, wrt: layers }) : undefined;
  let current = await inferValues(made?.graph ?? graph);
  const jacobian = needsMoments
    ? await constantJacobian(await network.differentiator(explained, target.scores))
    : undefined;
  const derivatives: LayerNodes['derivatives'][] = [];
  const second: LayerNodes['secondDerivatives'][] = [];
  for (const [i, layer] of explained.entries()) {
    if (needsMoments) {
      const own = made?.gradients.get(layer.name) as Name;
      const nodes = softmaxNodes(current, target, { layer, own, constant: jacobian?.[i] });
      current = nodes.graph;
      derivatives[i] = nodes.derivatives;
    }
    if (method.needs.includes('second derivatives')) {
      const nodes = await secondNodes(current, target, layer);
      current = nodes.graph;
      second[i] = nodes.derivatives;
    }
  }
  const b = new Builder(current);
  b.at('explain');
  const { size, axes } = spatialOf(explainer);
  const attention = method.needs.includes('attention') ? attentionNodes(explainer, b) : undefined;
  const parts = (attention ? explained.slice(0, 1) : explained).map((own, i) => {
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
      secondDerivatives: second[i],
      attention,
    };
    const raw = rawMapNodes(b, layer, method, settings, modifiers);
    return normalizedMapNodes(b, raw, size, network.image.name, axes);
  });
  const map = combined(b, parts, combine);
  return { graph: appended(current, b), map };
}

function attentionNodes({ network, scores, options }: NetworkExplainer, b: Builder): AttentionNodes {
  const { names, layout } = network.selfAttention(scores, options.tokens);
  const tokens = valueInfo(network.graph, names[0]).dims?.at(-1) as number;
  const batch = b.op('Shape', [network.image.name], { start: 0, end: 1 });
  const dims = b.op('Concat', [batch, b.ints([-1, tokens, tokens])], { axis: 0 });
  const blocks = names.map((name) => b.reduceMean(b.op('Reshape', [name, dims]), [1], 0));
  const hasClassToken = layout.prefix > 0;
  return { blocks, tokens, hasClassToken, ...tokenCells(layout, tokens, names[0]) };
}

function combined(b: Builder, maps: readonly Name[], combine: Plan['combine']): Name {
  if (maps.length === 1) return maps[0];
  if (combine === 'product') return maps.reduce((product, map) => b.mul(product, map));
  return b.op(combine === 'max' ? 'Max' : 'Mean', maps);
}

/** ∂T/∂A and H A of T = log softmax(S)_c (log sigmoid), or the target itself, where it is no class. */
async function secondNodes(
  graph: Graph,
  { scores, place, seed }: TargetNodes,
  layer: Layer,
): Promise<{ graph: Graph; derivatives: NonNullable<LayerNodes['secondDerivatives']> }> {
  const b = new Builder(graph);
  b.at('explain');
  const log = place === undefined ? scores.info.name : logProbability(b, scores);
  const vector = b.op('Identity', [layer.name]);
  // What the seed follows from is not differentiated again, as in `explain`: meanwhile it is an input.
  const given = { ...scores.info, name: b.fresh('seed'), type: DataType.FLOAT };
  const before = appended(graph, b);
  const first = appendGradient(await inferValues({ ...before, inputs: [...before.inputs, given] }), {
    of: [{ output: log, seed: given.name }],
    wrt: [layer.name],
  });
  const gradient = first.gradients.get(layer.name) as Name;
  const twice = appendGradient(await inferValues(first.graph), {
    of: [{ output: gradient, seed: vector }],
    wrt: [layer.name],
  });
  const link = new Builder(twice.graph);
  link.copy(seed, given.name);
  const count = before.nodes.length;
  const nodes = [...twice.graph.nodes.slice(0, count), ...link.nodes, ...twice.graph.nodes.slice(count)];
  const linked = { ...twice.graph, inputs: graph.inputs, nodes };
  const tail = new Builder(linked);
  tail.at('explain');
  const product = layoutNodes(tail, twice.gradients.get(layer.name) as Name, layer);
  const derivatives = { gradient: layoutNodes(tail, gradient, layer), product };
  return { graph: appended(linked, tail), derivatives };
}

function softmaxNodes(
  graph: Graph,
  { scores, place }: TargetNodes,
  { layer, own, constant }: { layer: Layer; own: Name; constant: Float32Array | undefined },
): { graph: Graph; derivatives: NonNullable<LayerNodes['derivatives']> } {
  if (place === undefined)
    throw new GradcamppError(
      'INVALID_TARGET',
      'The softmax form explains the probability of one class; use form exp for other targets.',
    );
  const { name } = layer;
  const count = rowSize(scores.info.dims ?? []);
  let current = graph;
  const head = new Builder(current);
  head.at('explain');
  const p = head.op('Softmax', [head.reshape(scores.info.name, [-1, count])], { axis: -1 });
  const ones = layer.dims.slice(2).map(() => 1);
  if (constant) {
    const jacobian = head.floats(constant, [count, constant.length / count]);
    const derivatives = constantMoments(head, { jacobian, p, index: place, ones });
    return { graph: appended(current, head), derivatives };
  }
  if (count > mostUnrolledClasses)
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `The softmax form needs the gradients of all ${count} classes; behind layer "${name}" the head is not linear, and a file can hold at most ${mostUnrolledClasses} of them. Use form exp, or a layer right before global average pooling.`,
    );
  current = appended(current, head);
  const gradients = Array.from({ length: count }, (_, m) => {
    const b = new Builder(current);
    b.at('explain');
    const hot = oneHot(b, forAll(b, m, scores.info.name), b.int(count));
    const seed = b.op('Reshape', [hot, b.op('Shape', [scores.info.name])]);
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
  const laidOut = gradients.map((gradient) => layoutNodes(b, gradient, layer));
  const derivatives = unrolledMoments(b, laidOut, layoutNodes(b, own, layer), probability);
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
function spatialOf({ preprocessing, clips, network }: NetworkExplainer) {
  const dims = network.image.dims ?? [];
  const channelAxis = channelAxisOf(preprocessing, network.image, clips) + 1;
  const axes = dims.map((_, axis) => axis).filter((axis) => axis > 0 && axis !== channelAxis);
  return { size: axes.map((axis) => dims[axis]), axes, channelAxis };
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
