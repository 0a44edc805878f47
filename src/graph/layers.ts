import { didYouMean } from '../check.js';
import { GradcamppError } from '../errors.js';
import { numbersOf } from '../onnx/constant.js';
import { DataType, isFloat } from '../onnx/types.js';
import { type Attention, findAttention } from './find-attention.js';
import { type Axes, findAxes } from './axes.js';
import { classMaps } from './channels.js';
import { is } from './facts.js';
import { findGates } from './gates.js';
import {
  ancestors,
  type Dim,
  descendants,
  type Graph,
  type Node,
  producers,
  readersOf,
  readsOf,
  valueInfo,
} from './graph.js';
import { between, cutValues } from './paths.js';
import { patchesReach } from './reach.js';
import {
  isPicture,
  laidOutDims,
  type Layout,
  layoutBy,
  layoutOf,
  showLayout,
  showTokens,
  tokenCount,
  type TokenGrid,
} from './tokens.js';

/** A value that can be explained. */
export interface Layer {
  readonly name: string;
  /** As methods see it, [N, K, ...grid]; K is a number, a size of the grid '' or a name where it depends on the picture's. */
  readonly dims: readonly (number | string)[];
  /** As the network has it. */
  readonly shape: readonly (number | string)[];
  /** How the one becomes the other. */
  readonly layout: Layout;
  /** The operator that makes it. */
  readonly opType: string;
  /** Whether it comes after a nonlinearity: it is one, or cannot be negative. */
  readonly isActivation: boolean;
  /** The activation right behind it, where it is none itself. */
  readonly activation?: string;
  /** Whether everything the scores know of the picture goes through it. */
  readonly isCut: boolean;
  /** Whether its places have a say in the scores: not so where only the class token is read of it. */
  readonly isRead: boolean;
  /**
   * Whether its channels are the classes (SqueezeNet's and NiN's last activation), or there is one channel: the score of a
   * class looks at one alone, so that no method of weighing channels differs from another.
   */
  readonly isClassMap: boolean;
  /** Of a layer that was chosen automatically: why the gradient by a better one cannot be had. */
  readonly obstacle?: string;
  /** Of a layer that was chosen automatically: the paths of the network part here, and most of it lies behind. */
  readonly isEarly?: boolean;
}

/** Where layers are looked for. */
export interface Search {
  readonly graph: Graph;
  /** The name of the input that holds the picture. */
  readonly image: string;
  /** The score tensor. */
  readonly scores: string;
  /** Where the patches of tokens lie, if the graph does not say it. */
  readonly tokens?: TokenGrid;
}

/**
 * The layers that can be explained, best first: activations before other values, values that nothing bypasses
 * before branches, later before earlier; then those whose channels are the classes. In transformers, what the last
 * attention reads.
 */
export function candidateLayers(search: Search): Layer[] {
  return candidates(search).map(({ layer }) => layer);
}

/** Best first. */
function candidates(search: Search): Place[] {
  const { graph, image, scores } = search;
  const onPath = between(graph, image, scores);
  const rank = valueInfo(graph, image).dims?.length ?? 0;
  const cuts = cutValues(graph, image, onPath);
  const positive = nonNegativeValues(graph);
  const axes = findAxes(graph, image);
  const reach = patchesReach(graph, axes, onPath);
  const maps = classMaps(graph, scores, onPath);
  const { gated, parts } = findGates(graph);
  const readers = readersOf(graph);
  const bent = new Set<string>(); // activations, also after they were laid out otherwise
  const places: Place[] = [];
  const isBent = (node: Node) => is(node, 'activation') || gated.has(node.outputs[0]);
  let depth = 0;
  let softmaxDepth = 0;
  for (const node of graph.nodes) {
    const [name] = node.outputs;
    const isActivation =
      isBent(node) || positive.has(name) || (node.opType === 'Transpose' && bent.has(node.inputs[0]));
    if (isActivation) bent.add(name);
    if (onPath.has(name) && weighs(node)) depth++;
    if (onPath.has(name) && node.opType === 'Softmax') softmaxDepth = depth;
    if (!onPath.has(name) || name === scores) continue;
    const { dims: shape } = valueInfo(graph, name);
    const layout = layoutIn(search, axes, name);
    if (!shape || !layout || shape.length > rank) continue;
    const layer: Layer = {
      name,
      dims: laidOutDims(layout, shape),
      shape,
      layout,
      opType: node.opType,
      isActivation,
      ...(isActivation ? {} : { activation: activationBehind(graph, readers, name, isBent) }),
      isCut: cuts.has(name),
      isRead: reach(name),
      isClassMap: maps.has(name) || shape[layout.channelAxis] === 1,
    };
    places.push({
      layer,
      depth,
      isWeighing: weighs(node),
      isSecondary: parts.has(name) || depth === 0,
      isDerived: is(node, 'derived'),
    });
  }
  return sorted(places, attentionIn(search), softmaxDepth);
}

/** Attention between places of the picture, in the order in which it runs. */
export function attentionIn(search: Search): Attention[] {
  const { graph, image, tokens } = search;
  return findAttention(search, findAxes(graph, image), tokens && tokenCount(tokens));
}

/** How a float value with several places is laid out: as the graph says, or else as the user does. */
function layoutIn(
  { graph, image, tokens }: Search,
  axes: ReadonlyMap<string, Axes>,
  name: string,
): Layout | undefined {
  const { type, dims } = valueInfo(graph, name);
  const rank = valueInfo(graph, image).dims?.length ?? 0;
  if (!dims || (type !== undefined && !isFloat(type))) return undefined;
  const known = axes.get(name);
  const told = tokens && layoutBy(tokens, dims);
  const layout = known ? agreed(layoutOf(known, rank - 2), told) : told;
  return layout?.grid.some((size) => size !== 1) ? layout : undefined;
}

/** A candidate and where it lies. */
interface Place {
  readonly layer: Layer;
  /** How many operators with weights lie before it. */
  readonly depth: number;
  /** Whether it is the result of one of them. */
  readonly isWeighing: boolean;
  /** Whether it is a part of an activation, or still the picture itself. */
  readonly isSecondary: boolean;
  /** Whether it only thins out or moves what lies before it. */
  readonly isDerived: boolean;
}

/** Operators of other domains stand for whole layers. */
function weighs(node: Node): boolean {
  return node.domain !== '' || is(node, 'weighs') || is(node, 'runsGraph');
}

/** The activation that alone reads a value, perhaps normalised and scaled. */
function activationBehind(
  graph: Graph,
  readers: ReadonlyMap<string, readonly (Node | undefined)[]>,
  name: string,
  isBent: (node: Node) => boolean,
): string | undefined {
  const alone = readers.get(name) ?? [];
  const [reader] = alone;
  if (!reader || alone.length > 1) return undefined;
  if (isBent(reader)) return reader.outputs[0];
  const isSingle = reader.inputs.every(
    (input) => input === name || input === '' || graph.constants.has(input),
  );
  const goesOn =
    isSingle && (is(reader, 'elementwise') || is(reader, 'channelwise')) && !is(reader, 'derived');
  return goesOn ? activationBehind(graph, readers, reader.outputs[0], isBent) : undefined;
}

/**
 * Groups of candidates. The last activation that nothing bypasses comes first, unless it lies in the stem or before the last
 * attention: where residual connections bypass all later ones (EfficientFormer, Visformer, TinyViT), it is the last value that
 * nothing bypasses, and in transformers what the last attention reads.
 *
 * @param softmaxDepth the depth of the last attention of any kind
 */
function sorted(places: readonly Place[], attention: readonly Attention[], softmaxDepth: number): Place[] {
  const stages = places.filter(
    ({ layer, isSecondary, isDerived }) => layer.isCut && !layer.isClassMap && !isSecondary && !isDerived,
  );
  const read = stages.filter(({ layer }) => layer.isRead);
  const activation = read.findLast(({ layer }) => layer.isActivation)?.depth ?? 0;
  const last = read.at(-1)?.depth ?? 0;
  const found = lastAttended(places, attention, stages.at(-1));
  const isEarly =
    activation === 0 ||
    activation < last / 2 ||
    (activation < softmaxDepth && softmaxDepth < last) ||
    (found !== undefined && activation < found.depth);
  const attended = isEarly ? found : undefined;
  const rankOf = (place: Place) => (place === attended ? mostRank : rank(place, isEarly));
  const order = places.map((place, i) => ({ place, score: rankOf(place) * places.length + i }));
  return order.sort((a, b) => b.score - a.score).map(({ place }) => place);
}

/**
 * What the last attention reads: of a plain transformer, whose tokens have one grid from the first block to the last and on,
 * and of any other of which only the class token is read behind it. Else the last stage is the better choice.
 */
function lastAttended(
  places: readonly Place[],
  attention: readonly Attention[],
  stage: Place | undefined,
): Place | undefined {
  const own = attention.filter(({ isSelf }) => isSelf);
  const attended = own.map(({ tokens }) => places.find(({ layer }) => layer.name === tokens));
  const found = attended.findLast((place) => place?.layer.isRead);
  if (!found) return undefined;
  const grid = (place: Place | undefined) =>
    JSON.stringify(place && [place.layer.layout.prefix, place.layer.layout.grid]);
  const isPlain = attended.every((place) => grid(place) === grid(found));
  if (!stage?.layer.isRead) return found;
  return isPlain && !isCoarser(stage.layer, found.layer) ? found : undefined;
}

/** Whether a layer has fewer places than another, as far as both are known. */
function isCoarser(layer: Layer, than: Layer): boolean {
  const [own, others] = [layer, than].map(({ layout }) =>
    layout.grid.reduce<number>((count, size) => count * Number(size || Number.NaN), 1),
  );
  return own < others;
}

const mostRank = 9;

/** @param isEarly whether the last activation is no choice, for what lies behind it */
function rank({ layer, isSecondary, isDerived }: Place, isEarly: boolean): number {
  const { isActivation, isCut, isRead, isClassMap } = layer;
  if (!isRead) return 0;
  if (isSecondary) return 1;
  if (isDerived) return isCut ? 3 : 1;
  if (isClassMap) return isCut ? 4 : 2;
  if (isActivation && isCut) return isEarly ? 6 : 8;
  if (isCut) return 7;
  return isActivation ? 5 : 3;
}

/** The layer that is explained when none is named. */
export function automaticLayer(search: Search): Layer {
  const places = candidates(search);
  const [best] = places;
  const unknown = !best || best.isSecondary || !best.layer.isRead ? unknownTokens(search) : undefined;
  if (best?.layer.isRead && !unknown) {
    const read = places.filter(({ layer }) => layer.isRead);
    const last = read.filter(({ layer }) => layer.isCut).map(({ depth }) => depth);
    // Only what could be explained counts: a decoder that says a caption may be larger than what looks at the picture.
    const weighing = read.filter(({ layer, isWeighing }) => isWeighing && !layer.isClassMap);
    const behind = weighing.filter(({ depth }) => depth > best.depth);
    const isEarly = best.depth === Math.max(...last) && behind.length > weighing.length / 2;
    return asToldBy(search.tokens, isEarly ? { ...best.layer, isEarly } : best.layer);
  }
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    unknown
      ? `Where the tokens of "${unknown.name}" ${showDims(unknown.dims)} lie in the picture cannot be told from the model. ${tokensAdvice(unknown.dims)}`
      : `No layer between the input and the scores ${whyNone(search.graph)}, so none can be chosen automatically. Name one with "layer", or take a method that needs none.`,
  );
}

function whyNone({ nodes }: Graph): string {
  if (nodes.some(({ domain }) => domain === 'com.microsoft.nchwc'))
    return 'is laid out as a picture: ONNX Runtime has optimised the model for one kind of processor, and its layers are laid out in blocks; explain the model as it was before';
  return 'has spatial dims that are known';
}

/** What the user says of an axis of tokens counts more than what the graph does. */
function agreed(known: Layout | undefined, told: Layout | undefined): Layout | undefined {
  return known && told?.channelAxis === known.channelAxis && known.channelAxis !== 1 ? told : known;
}

/** A layer of tokens laid out as the user says, whatever the graph says of it. */
function asToldBy(tokens: TokenGrid | undefined, layer: Layer): Layer {
  if (!tokens || isPicture(layer.layout, layer.shape.length)) return layer;
  const layout = layoutBy(tokens, layer.shape);
  if (layout) return { ...layer, layout, dims: laidOutDims(layout, layer.shape) };
  throw new GradcamppError(
    'INVALID_OPTION',
    `"tokens" ${showTokens(tokens)} must fit the layer: it counts ${tokenCount(tokens)} tokens; "${layer.name}" has dims ${showDims(layer.shape)}, by the model ${showLayout(layer.layout)}.`,
  );
}

/** The last value [N, T, C] that nothing bypasses and of which it is not known what its tokens are. */
function unknownTokens({ graph, image, scores }: Search) {
  const onPath = between(graph, image, scores);
  const cuts = cutValues(graph, image, onPath);
  const infos = graph.nodes.flatMap(({ outputs }) => outputs.map((name) => valueInfo(graph, name)));
  const found = infos.findLast(
    ({ name, type, dims }) =>
      cuts.has(name) &&
      (type === undefined || isFloat(type)) &&
      dims?.length === 3 &&
      (typeof dims[1] === 'string' || dims[1] >= 4),
  );
  return found?.dims && { name: found.name, dims: found.dims };
}

/** How to say where tokens lie, with numbers that fit: those of a square grid, if there is one. */
function tokensAdvice(dims: readonly Dim[]): string {
  const count = typeof dims[1] === 'number' ? dims[1] : 197;
  const prefixes = [0, 1, 2, 5].filter((prefix) => count - prefix >= 4);
  const square = prefixes.find((prefix) => Number.isInteger(Math.sqrt(count - prefix)));
  const prefix = square ?? 1;
  const places = count - prefix;
  let height = Math.floor(Math.sqrt(places));
  while (height > 1 && places % height !== 0) height--;
  const example = showTokens({ grid: [height, places / height], prefix });
  return `Say it with "tokens": height x width of the grid, and how many tokens come before it, as --tokens ${example}${square === undefined ? '' : ' if the grid is square'}.`;
}

function showDims(dims: readonly Dim[]): string {
  return `[${dims.map((dim) => dim || '?').join(', ')}]`;
}

/**
 * A layer by the name of a tensor or of the node that makes it.
 *
 * @throws GradcamppError INVALID_LAYER saying why it cannot be explained, with the closest names
 */
export function namedLayer(name: string, search: Search): Layer {
  const { graph } = search;
  const made = producers(graph);
  const node = made.get(name) ?? graph.nodes.find((item) => item.name === name);
  const candidates = candidateLayers(search);
  const names = new Set([
    ...candidates.map((layer) => layer.name),
    ...graph.nodes.map((item) => item.name).filter(Boolean),
  ]);
  if (!node) {
    const best = candidates.slice(0, 3).map((layer) => JSON.stringify(layer.name));
    const near =
      didYouMean(name, names) ||
      (best.length > 0 ? `Candidates: ${best.join(', ')}.` : 'No layer is laid out as a picture.');
    const isInput = graph.inputs.some((input) => input.name === name);
    const kind = isInput ? ', an input' : graph.constants.has(name) ? ', a weight' : '';
    throw new GradcamppError(
      'INVALID_LAYER',
      `"layer" must name a tensor or node of the model; received ${JSON.stringify(name)}${kind}. ${near}`,
    );
  }
  const value = made.has(name) ? name : node.outputs[0];
  const found = candidates.find((layer) => layer.name === value);
  if (found) return asToldBy(search.tokens, found);
  throw new GradcamppError(
    'INVALID_LAYER',
    `Layer ${JSON.stringify(name)} ${reasonAgainst(value, search, candidates[0]?.name)}`,
  );
}

function reasonAgainst(value: string, search: Search, best: string | undefined): string {
  const { graph, image, scores, tokens } = search;
  const advice = best ? ` Candidates: run "gradcampp inspect"; the best is ${JSON.stringify(best)}.` : '';
  if (value === scores) return `holds the scores themselves; choose a layer before them.${advice}`;
  if (descendants(graph, [scores]).has(value))
    return `comes after the scores; choose a layer before them.${advice}`;
  if (!ancestors(graph, [scores]).has(value)) return `has no influence on the scores.${advice}`;
  if (!descendants(graph, [image]).has(value)) return `does not depend on the picture.${advice}`;
  const { dims } = valueInfo(graph, value);
  if (!dims || dims.length < 3)
    return `has dims [${dims?.join(', ') ?? 'unknown'}], which are not spatial: [N, K, h, w] is wanted.${advice}`;
  const axes = findAxes(graph, image);
  const attention = attentionIn(search).find(({ name }) => name === value);
  const has = `has dims ${showDims(dims)}`;
  if (attention)
    return `${has}: it is attention between tokens, not a picture; method attention-rollout shows it.${advice}`;
  if (tokens) return `${has}, which do not fit "tokens" ${showTokens(tokens)}.${advice}`;
  if (axes.has(value) || dims.length > 4)
    return `${has}, which are not those of a picture, [N, K, h, w], [N, h, w, K] or [N, tokens, K].${advice}`;
  return `${has}; where its values lie in the picture cannot be told from the model. ${tokensAdvice(dims)}`;
}

function nonNegativeValues(graph: Graph): Set<string> {
  const positive = new Set<string>();
  for (const node of graph.nodes) {
    const inputs = readsOf(node).filter((name) => {
      const { type } = valueInfo(graph, name);
      return !graph.constants.has(name) && (type === undefined || isFloat(type));
    });
    const isPositive =
      is(node, 'nonNegative') ||
      isUnsigned(node, graph) ||
      (node.opType === 'Clip' && lowerBound(node, graph) >= 0) ||
      (is(node, 'keepsSign') &&
        inputs.length > 0 &&
        inputs.every((name) => positive.has(name)) &&
        noNegativeConstants(node, graph));
    if (isPositive) for (const output of node.outputs) positive.add(output);
  }
  return positive;
}

/** Whether a node gives quantised values back that cannot lie below 0: quantisers fold a Relu into the zero point. */
function isUnsigned({ opType, domain, inputs }: Node, graph: Graph): boolean {
  if (opType !== 'DequantizeLinear' || domain !== '') return false;
  const { type } = valueInfo(graph, inputs[0]);
  const zero = graph.constants.get(inputs[2] ?? '');
  const isFromZero = !inputs[2] || (zero !== undefined && numbersOf(zero).every((value) => value === 0));
  return isFromZero && (type === DataType.UINT8 || type === DataType.UINT16);
}

function lowerBound(node: Node, graph: Graph): number {
  const constant = graph.constants.get(node.inputs[1] ?? '');
  return constant ? numbersOf(constant)[0] : Number.NEGATIVE_INFINITY;
}

function noNegativeConstants(node: Node, graph: Graph): boolean {
  return node.inputs.every((name) => {
    const constant = graph.constants.get(name);
    return !constant || !isFloat(constant.type) || numbersOf(constant).every((value) => value >= 0);
  });
}
