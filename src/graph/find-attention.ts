import { isFloat } from '../onnx/types.js';
import { intAttribute, intsAttribute, stringAttribute } from './attributes.js';
import { type Axes, mixesPlaces } from './axes.js';
import { hasPlaces, type Item } from './digits.js';
import { is } from './facts.js';
import { type Graph, type Node, producers, readersOf, readsOf, valueInfo } from './graph.js';
import { between, cutValues } from './paths.js';

/** One attention between places of the picture: mixed = softmax(Q Kᵀ …) V. */
export interface Attention {
  /** softmax(Q Kᵀ …), [..., queries, keys]. */
  readonly name: string;
  /** The value from which queries, keys and values are computed: what the block's first normalisation gives. */
  readonly tokens: string;
  /** Whether the queries are tokens of their own sequence: all of them, or the class token. */
  readonly isSelf: boolean;
}

type Readers = ReadonlyMap<string, readonly (Node | undefined)[]>;

/**
 * Every attention over places between the picture and the scores, in the order in which they run.
 *
 * @param count how many tokens there are, where the axes do not tell places
 */
export function findAttention(
  { graph, image, scores }: { readonly graph: Graph; readonly image: string; readonly scores: string },
  axes: ReadonlyMap<string, Axes>,
  count?: number,
): Attention[] {
  const onPath = between(graph, image, scores);
  const readers = readersOf(graph);
  const made = producers(graph);
  return graph.nodes.flatMap((node) => {
    const [name] = node.outputs;
    if (node.opType !== 'Softmax' || node.domain !== '' || !onPath.has(name)) return [];
    const own = axes.get(name);
    if (!isOverKeys(graph, node, own, count)) return [];
    const mixed = productWithValues(graph, name, readers);
    const queries = mixed && queriesOf(node, graph, made);
    if (mixed === undefined || queries === undefined) return [];
    const common = lastCommon(graph, image, mixed);
    const tokens = common && beforeProjection(graph, common, made);
    if (tokens === undefined) return [];
    const isSelf = (own?.at(-2)?.some(isPlaces) ?? false) || isSlice(graph, tokens, queries);
    return [{ name, tokens, isSelf }];
  });
}

const isPlaces = (item: Item) => hasPlaces([item]);

/** Over the last axis, which counts places; where the axes are not known, over as many keys as there are tokens. */
function isOverKeys(graph: Graph, node: Node, axes: Axes | undefined, count: number | undefined): boolean {
  const { dims = [] } = valueInfo(graph, node.outputs[0]);
  const axis = intAttribute(node, 'axis', -1);
  if (dims.length < 3 || (axis !== -1 && axis !== dims.length - 1)) return false;
  if (axes) return hasPlaces(axes[axes.length - 1]);
  return count !== undefined && dims.at(-1) === count && dims.at(-2) === count;
}

/** Which axes hold the keys and the queries, counted from the end: −1 the last. */
interface Places {
  readonly keys: number;
  readonly queries: number;
}

/** What comes of the probabilities and the values: the product over the keys. */
function productWithValues(graph: Graph, probabilities: string, readers: Readers): string | undefined {
  const visit = (name: string, at: Places, steps: number): string | undefined => {
    for (const reader of readers.get(name) ?? []) {
      if (!reader || steps === 0) continue;
      if (isProduct(reader, name, at, graph)) return reader.outputs[0];
      const next = placesBehind(reader, name, at, graph);
      const found = next && visit(reader.outputs[0], next, steps - 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(probabilities, { keys: -1, queries: -2 }, mostSteps);
}

/** Dropout, masks, mixed heads and changes of dims between the softmax and the product. */
const mostSteps = 8;

/** Whether a node sums over the keys, and keeps the queries. */
function isProduct(node: Node, name: string, { keys, queries }: Places, graph: Graph): boolean {
  const operand = node.inputs.indexOf(name);
  if (node.opType === 'Einsum') {
    const [from, to = ''] = stringAttribute(node, 'equation', '').replaceAll(' ', '').split('->');
    const term = from.split(',')[operand] ?? '';
    const [gone, kept] = [term.at(keys), term.at(queries)];
    return gone !== undefined && kept !== undefined && !to.includes(gone) && to.includes(kept);
  }
  if (node.opType !== 'MatMul' || graph.constants.has(node.inputs[1 - operand])) return false;
  return operand === 0 ? keys === -1 && queries === -2 : keys === -2 && queries === -1;
}

/** Where keys and queries are behind a node that keeps both apart; undefined where it does not. */
function placesBehind(node: Node, name: string, at: Places, graph: Graph): Places | undefined {
  const areLast = Math.min(at.keys, at.queries) === -2;
  if (node.domain !== '' || is(node, 'reduces')) return undefined;
  if (is(node, 'elementwise')) return at;
  if (is(node, 'onlyDims')) return areLast ? at : undefined;
  if (node.opType === 'Transpose') {
    const perm = intsAttribute(node, 'perm');
    const moved = (axis: number) => perm && perm.indexOf(axis + perm.length) - perm.length;
    const [keys, queries] = [moved(at.keys), moved(at.queries)];
    return keys !== undefined && queries !== undefined ? { keys, queries } : undefined;
  }
  // Talking heads: a layer that mixes the heads, by a convolution of 1 × 1 or behind a transposition.
  const mixesHeads =
    (node.opType === 'Conv' && areLast && !mixesPlaces(node, graph)) ||
    (node.opType === 'MatMul' &&
      node.inputs[0] === name &&
      graph.constants.has(node.inputs[1]) &&
      Math.max(at.keys, at.queries) < -1);
  return mixesHeads || node.opType === 'BatchNormalization' ? at : undefined;
}

/** The queries: the first operand of the product that the softmax is taken of. */
function queriesOf(softmax: Node, graph: Graph, made: ReadonlyMap<string, Node>): string | undefined {
  const visit = (name: string, steps: number): string | undefined => {
    const node = made.get(name);
    if (!node || steps === 0) return undefined;
    if (node.opType === 'MatMul' || node.opType === 'Einsum') return node.inputs[0];
    for (const input of node.inputs) {
      if (!input || graph.constants.has(input)) continue;
      const found = visit(input, steps - 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(softmax.inputs[0], 2 * mostSteps);
}

/** The last value through which everything that a value knows of the picture goes. */
function lastCommon(graph: Graph, image: string, name: string): string | undefined {
  const cuts = [...cutValues(graph, image, between(graph, image, name))];
  return cuts.filter((cut) => cut !== name).at(-1);
}

/**
 * What a projection to queries, keys and values together is made of, before it was laid out otherwise; the value itself where
 * there is no such projection.
 */
function beforeProjection(graph: Graph, name: string, made: ReadonlyMap<string, Node>): string {
  let found = name;
  let isMoved = true; // nothing but moves since what was found
  for (let node = made.get(name); node; ) {
    const data = readsOf(node).filter((input) => !graph.constants.has(input) && isFloatValue(graph, input));
    const goesOn =
      node.domain === '' && data.length === 1 && !normalizes.test(node.opType) && !mixesPlaces(node, graph);
    if (!goesOn) break;
    const moves = node.opType === 'Transpose' || is(node, 'onlyDims');
    if (is(node, 'weighs') || (moves && isMoved)) [found] = data;
    isMoved = moves ? isMoved : is(node, 'weighs');
    node = made.get(data[0]);
  }
  return found;
}

/** Over the channels of each token; batch normalisation scales them alone. */
const normalizes = /^(Layer|RMS|Group|Instance|Lp|MeanVariance)Normalization$/;

function isFloatValue(graph: Graph, name: string): boolean {
  const { type } = valueInfo(graph, name);
  return type === undefined || isFloat(type);
}

/** Whether queries are taken from tokens as they are, such as the class token: no other attention lies between. */
function isSlice(graph: Graph, tokens: string, queries: string): boolean {
  const onWay = between(graph, tokens, queries);
  return (
    onWay.has(queries) &&
    !graph.nodes.some(({ opType, outputs: [name] }) => opType === 'Softmax' && onWay.has(name))
  );
}
