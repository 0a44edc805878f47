import { didYouMean } from '../check.js';
import { GradcamppError } from '../errors.js';
import { numbersOf } from '../onnx/constant.js';
import { DataType, isFloat } from '../onnx/types.js';
import { classMaps } from './channels.js';
import { is } from './facts.js';
import { findGates } from './gates.js';
import {
  ancestors,
  descendants,
  type Graph,
  type Node,
  producers,
  readersOf,
  readsOf,
  valueInfo,
} from './graph.js';
import { between, cutValues } from './paths.js';
import { pictureValues } from './pictures.js';

/** A value that can be explained. */
export interface Layer {
  readonly name: string;
  /** [N, K, ...spatial]; K is a number, a spatial one '' or a name where it depends on the picture's size. */
  readonly dims: readonly (number | string)[];
  /** The operator that makes it. */
  readonly opType: string;
  /** Whether it comes after a nonlinearity: it is one, or cannot be negative. */
  readonly isActivation: boolean;
  /** The activation right behind it, where it is none itself. */
  readonly activation?: string;
  /** Whether everything the scores know of the picture goes through it. */
  readonly isCut: boolean;
  /** Whether its positions are places in the picture; not so for tokens, attention and channels-last values. */
  readonly isPicture: boolean;
  /**
   * Whether its channels are the classes (SqueezeNet's and NiN's last activation), or there is one channel: the score of a
   * class looks at one alone, so that no method of weighing channels differs from another.
   */
  readonly isClassMap: boolean;
  /** Of a layer that was chosen automatically: why the gradient by a better one cannot be had. */
  readonly obstacle?: string;
}

/**
 * The layers that can be explained, best first: activations before other values, values that nothing bypasses
 * before branches, later before earlier; then those whose channels are the classes.
 *
 * @param image the name of the input that holds the picture
 * @param scores the score tensor
 */
export function candidateLayers(graph: Graph, image: string, scores: string): Layer[] {
  const onPath = between(graph, image, scores);
  const imageRank = valueInfo(graph, image).dims?.length;
  const cuts = cutValues(graph, image, onPath);
  const positive = nonNegativeValues(graph);
  const pictures = pictureValues(graph, image);
  const maps = classMaps(graph, scores, onPath);
  const { gated, parts } = findGates(graph);
  const readers = readersOf(graph);
  const bent = new Set<string>(); // activations, also after they were laid out otherwise
  const places: Place[] = [];
  const isBent = (node: Node) => is(node, 'activation') || gated.has(node.outputs[0]);
  let depth = 0;
  for (const node of graph.nodes) {
    const [name] = node.outputs;
    const isActivation =
      isBent(node) || positive.has(name) || (node.opType === 'Transpose' && bent.has(node.inputs[0]));
    if (isActivation) bent.add(name);
    if (onPath.has(name) && weighs(node)) depth++;
    if (!onPath.has(name) || name === scores) continue;
    const { type, dims } = valueInfo(graph, name);
    if (!dims || dims.length !== imageRank || (type !== undefined && !isFloat(type))) continue;
    if (!isSpatial(dims)) continue;
    const layer: Layer = {
      name,
      dims,
      opType: node.opType,
      isActivation,
      ...(isActivation ? {} : { activation: activationBehind(graph, readers, name, isBent) }),
      isCut: cuts.has(name),
      isPicture: pictures.has(name),
      isClassMap: maps.has(name) || dims[1] === 1,
    };
    places.push({
      layer,
      depth,
      isSecondary: parts.has(name) || depth === 0,
      isDerived: is(node, 'derived'),
    });
  }
  return sorted(places);
}

/** A candidate and where it lies. */
interface Place {
  readonly layer: Layer;
  /** How many operators with weights lie before it. */
  readonly depth: number;
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

function sorted(places: readonly Place[]): Layer[] {
  const stages = places.filter(
    ({ layer, isSecondary, isDerived }) =>
      layer.isCut && layer.isPicture && !layer.isClassMap && !isSecondary && !isDerived,
  );
  const activations = stages.filter(({ layer }) => layer.isActivation);
  const isInStem = (activations.at(-1)?.depth ?? 0) < (stages.at(-1)?.depth ?? 0) / 2;
  const order = places.map((place, i) => ({ place, score: rank(place, isInStem) * places.length + i }));
  return order.sort((a, b) => b.score - a.score).map(({ place }) => place.layer);
}

/**
 * Groups of candidates. The last activation that nothing bypasses is the automatic choice, unless it lies in the stem: where
 * residual connections bypass all later ones (EfficientFormer, Visformer), it is the last value that nothing bypasses.
 *
 * @param isInStem whether that activation has more of the network behind it than before it, up to that value
 */
function rank({ layer, isSecondary, isDerived }: Place, isInStem: boolean): number {
  const { isActivation, isCut, isPicture, isClassMap } = layer;
  if (!isPicture) return 0;
  if (isSecondary) return 1;
  if (isDerived) return isCut ? 3 : 1;
  if (isClassMap) return isCut ? 4 : 2;
  if (isActivation && isCut) return isInStem ? 6 : 8;
  if (isCut) return 7;
  return isActivation ? 5 : 3;
}

/** The layer that is explained when none is named. */
export function automaticLayer(graph: Graph, image: string, scores: string): Layer {
  const [best] = candidateLayers(graph, image, scores);
  if (best?.isPicture) return best;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `No layer between the input and the scores ${whyNone(graph, best)}, so none can be chosen automatically. Name one with "layer", or take a method that needs none.`,
  );
}

function whyNone(graph: Graph, best: Layer | undefined): string {
  if (graph.nodes.some(({ domain }) => domain === 'com.microsoft.nchwc'))
    return 'is laid out as a picture: ONNX Runtime has optimised the model for one kind of processor, and its layers are laid out in blocks; explain the model as it was before';
  if (!best) return 'has spatial dims that are known';
  const dims = best.dims.map((dim) => dim || '?').join(', ');
  return `is laid out as a picture (${JSON.stringify(best.name)} has dims [${dims}]: tokens, attention or channels last)`;
}

/**
 * A layer by the name of a tensor or of the node that makes it.
 *
 * @throws GradcamppError INVALID_LAYER saying why it cannot be explained, with the closest names
 */
export function namedLayer(graph: Graph, name: string, image: string, scores: string): Layer {
  const made = producers(graph);
  const node = made.get(name) ?? graph.nodes.find((item) => item.name === name);
  const candidates = candidateLayers(graph, image, scores);
  const names = new Set([
    ...candidates.map((layer) => layer.name),
    ...graph.nodes.map((item) => item.name).filter(Boolean),
  ]);
  if (!node) {
    const near =
      didYouMean(name, names) ||
      `Candidates: ${candidates
        .slice(0, 3)
        .map((layer) => JSON.stringify(layer.name))
        .join(', ')}.`;
    const isInput = graph.inputs.some((input) => input.name === name);
    const kind = isInput ? ', an input' : graph.constants.has(name) ? ', a weight' : '';
    throw new GradcamppError(
      'INVALID_LAYER',
      `"layer" must name a tensor or node of the model; received ${JSON.stringify(name)}${kind}. ${near}`,
    );
  }
  const value = made.has(name) ? name : node.outputs[0];
  const found = candidates.find((layer) => layer.name === value);
  if (found) return found;
  throw new GradcamppError(
    'INVALID_LAYER',
    `Layer ${JSON.stringify(name)} ${reasonAgainst(graph, value, image, scores)}`,
  );
}

function reasonAgainst(graph: Graph, value: string, image: string, scores: string): string {
  const best = candidateLayers(graph, image, scores)[0]?.name;
  const advice = best ? ` Candidates: run "gradcampp inspect"; the best is ${JSON.stringify(best)}.` : '';
  if (value === scores) return `holds the scores themselves; choose a layer before them.${advice}`;
  if (descendants(graph, [scores]).has(value))
    return `comes after the scores; choose a layer before them.${advice}`;
  if (!ancestors(graph, [scores]).has(value)) return `has no influence on the scores.${advice}`;
  if (!descendants(graph, [image]).has(value)) return `does not depend on the picture.${advice}`;
  const { dims } = valueInfo(graph, value);
  if (!dims || dims.length < 3)
    return `has dims [${dims?.join(', ') ?? 'unknown'}], which are not spatial: [N, K, h, w] is wanted.${advice}`;
  const rank = valueInfo(graph, image).dims?.length;
  const shown = dims.map((dim) => dim || '?').join(', ');
  if (rank !== undefined && dims.length !== rank)
    return `has dims [${shown}], which are not those of a picture, [N, K, ${rank === 3 ? 'l' : rank === 5 ? 't, h, w' : 'h, w'}]: tokens cannot be laid out.${advice}`;
  return `has dims [${shown}]; the number of channels must be known, and more than one position.${advice}`;
}

function isSpatial(dims: readonly (number | string)[]): boolean {
  if (dims.length < 3 || dims.length > 5) return false;
  return typeof dims[1] === 'number' && dims.slice(2).some((dim) => dim !== 1);
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
