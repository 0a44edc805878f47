import { didYouMean } from '../check.js';
import { GradcamppError } from '../errors.js';
import { numbersOf } from '../onnx/constant.js';
import { isFloat } from '../onnx/types.js';
import { is } from './facts.js';
import { findGates } from './gates.js';
import { ancestors, descendants, type Graph, type Node, producers, readsOf, valueInfo } from './graph.js';
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
  /** Whether everything the scores know of the picture goes through it. */
  readonly isCut: boolean;
}

/**
 * The layers that can be explained, best first: activations before other values, values that nothing bypasses
 * before branches, later before earlier.
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
  const { gated, parts } = findGates(graph);
  const bent = new Set<string>(); // activations, also after they were laid out otherwise
  const layers: Layer[] = [];
  for (const node of graph.nodes) {
    const [name] = node.outputs;
    const isActivation =
      is(node, 'activation') ||
      positive.has(name) ||
      gated.has(name) ||
      (node.opType === 'Transpose' && bent.has(node.inputs[0]));
    if (isActivation) bent.add(name);
    if (!onPath.has(name) || name === scores) continue;
    const { type, dims } = valueInfo(graph, name);
    if (!dims || dims.length !== imageRank || (type !== undefined && !isFloat(type))) continue;
    if (!isSpatial(dims)) continue;
    layers.push({ name, dims, opType: node.opType, isActivation, isCut: cuts.has(name) });
  }
  const last = layers.length - 1;
  const rankOf = (layer: Layer) => {
    if (!pictures.has(layer.name)) return -1; // tokens, attention, channels last
    return parts.has(layer.name) ? 0 : rank(layer);
  };
  const order = layers.map((layer, i) => ({ layer, score: rankOf(layer) * (last + 1) + i }));
  return order.sort((a, b) => b.score - a.score).map(({ layer }) => layer);
}

/** Groups of candidates: the last activation that nothing bypasses is the automatic choice. */
function rank({ isActivation, isCut, opType }: Layer): number {
  if (is({ opType, domain: '' }, 'derived')) return isCut ? 1 : 0;
  if (isActivation) return isCut ? 4 : 2;
  return isCut ? 3 : 1;
}

/** The layer that is explained when none is named. */
export function automaticLayer(graph: Graph, image: string, scores: string): Layer {
  const [best] = candidateLayers(graph, image, scores);
  if (best) return best;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    'No layer between the input and the scores has spatial dims that are known, so none can be chosen automatically. Name one with "layer".',
  );
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

function between(graph: Graph, image: string, scores: string): Set<string> {
  // What a shape says of the picture is no path of its own.
  const data = {
    ...graph,
    nodes: graph.nodes.filter(({ opType }) => opType !== 'Shape' && opType !== 'Size'),
  };
  const reached = descendants(data, [image]);
  return new Set([...ancestors(graph, [scores])].filter((name) => reached.has(name)));
}

/** Values through which every path from picture to scores goes: after them, nothing else is waited for. */
function cutValues(graph: Graph, image: string, onPath: ReadonlySet<string>): Set<string> {
  const lastUse = new Map<string, number>();
  graph.nodes.forEach((node, i) => {
    if (node.outputs.some((name) => onPath.has(name)))
      for (const name of readsOf(node)) if (onPath.has(name)) lastUse.set(name, i);
  });
  const open = new Set([image]);
  const cuts = new Set<string>();
  graph.nodes.forEach((node, i) => {
    const made = node.outputs.filter((name) => onPath.has(name));
    if (made.length === 0) return;
    for (const name of open) if ((lastUse.get(name) ?? -1) <= i) open.delete(name);
    for (const name of made) open.add(name);
    if (open.size === 1) cuts.add(made[0]);
  });
  return cuts;
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
      (node.opType === 'Clip' && lowerBound(node, graph) >= 0) ||
      (is(node, 'keepsSign') &&
        inputs.length > 0 &&
        inputs.every((name) => positive.has(name)) &&
        noNegativeConstants(node, graph));
    if (isPositive) for (const output of node.outputs) positive.add(output);
  }
  return positive;
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
