import { foldBranches } from '../graph/branch.js';
import { canonicalize } from '../graph/canonical.js';
import { expandComposites } from '../graph/composite.js';
import { foldShapes, withDims } from '../graph/fold.js';
import { functionsOf, graphOf } from '../graph/from-model.js';
import { type Dim, type Graph, valueInfo } from '../graph/graph.js';
import { forInference } from '../graph/inference.js';
import { foldLoops } from '../graph/loop.js';
import { inlineFunctions } from '../graph/inline.js';
import { toFloat32 } from '../graph/precision.js';
import { foldSequences } from '../graph/sequence.js';
import { expandAttention } from '../graph/standard-attention.js';
import { tidyCeilPools, tidyPads, tidySamePads, tidySoftmax } from '../graph/tidy.js';
import type { Model } from '../onnx/model.js';
import { DataType } from '../onnx/types.js';
import { inferBodies } from './bodies.js';
import { foldConstants } from './constants.js';
import { inferValues } from './infer.js';

/** Each round can reveal the dims behind one more computed Reshape; networks have some dozens. */
const mostRounds = 100;

export interface PrepareOptions {
  /**
   * As it is meant to be used, though it was exported in training mode, and with attention written out; default: as it is
   * stored.
   */
  readonly inference?: boolean;
}

/**
 * A model's graph as every later stage wants it: its functions written out, in float32, of canonical operators,
 * dims known, shape arithmetic done.
 *
 * @param keep constants that are not folded into others: weights whose gradients are wanted
 */
export async function prepareGraph(
  model: Model,
  keep: readonly string[] = [],
  options: PrepareOptions = {},
): Promise<Graph> {
  return finishGraph(await canonicalGraph(model), keep, options);
}

/** The first half: functions written out, in float32, of canonical operators. What it is a part of is joined behind it. */
export async function canonicalGraph(model: Model): Promise<Graph> {
  const functions = functionsOf(model);
  for (const [key, body] of functions) functions.set(key, { ...body, graph: canonicalize(body.graph) });
  const stored = graphOf(model);
  // The constants that older attributes become take the type of the data, which is float unless said otherwise.
  const typed = usesDouble(stored) && functions.size === 0 ? await inferValues(stored) : stored;
  return expandComposites(toFloat32(inlineFunctions(canonicalize(typed), functions)));
}

/** The second half: dims known, shape arithmetic done. */
export async function finishGraph(
  graph: Graph,
  keep: readonly string[] = [],
  { inference = false }: PrepareOptions = {},
): Promise<Graph> {
  if (!inference) return simplify(graph, keep);
  const known = await simplify(forInference(graph), keep);
  const expanded = expandAttention(known);
  return expanded === known ? known : simplify(expanded, keep);
}

function usesDouble(graph: Graph): boolean {
  const isDouble = ({ type }: { type: DataType | undefined }) => type === DataType.DOUBLE;
  return (
    graph.inputs.some(isDouble) ||
    [...graph.constants.values()].some(isDouble) ||
    graph.nodes.some((node) => [...node.attributes.values()].some(({ value }) => value === DataType.DOUBLE))
  );
}

/** Folds constants, shapes, branches and sequences until nothing changes, with dims known at the end. */
export async function simplify(graph: Graph, keep: readonly string[] = []): Promise<Graph> {
  const declared = fixedDims(graph);
  let current = await inferValues({ ...graph, values: onlyNoted(graph.values) });
  for (let round = 0; round < mostRounds; round++) {
    const pooled = tidyCeilPools(current);
    if (pooled !== current) {
      current = await inferValues(pooled); // what follows counts on dims
      continue;
    }
    const written = tidySamePads(tidyPads(tidySoftmax(expandComposites(current))));
    let next = await foldConstants(foldSequences(foldLoops(foldBranches(foldShapes(written)))), keep);
    if (next === current) next = await inferBodies(current, simplify);
    if (next === current) next = withDeclared(current, declared);
    if (next === current) break;
    current = await inferValues(next);
  }
  return current;
}

function onlyNoted(values: Graph['values']): Graph['values'] {
  return new Map([...values].filter(([, { isNoted }]) => isNoted));
}

/** What the file says of dims, where it says of all inputs how large they are, the batch apart. */
function fixedDims({ inputs, values }: Graph): Graph['values'] {
  const isFixed = inputs.every(({ dims }) => dims?.slice(1).every((dim) => typeof dim === 'number'));
  return isFixed ? values : new Map();
}

/** Takes the file's word for sizes that nothing else tells; not for that of the batch, which converters change alone. */
function withDeclared(graph: Graph, declared: Graph['values']): Graph {
  const values = new Map(graph.values);
  let changed = false;
  for (const name of graph.nodes.flatMap((node) => node.outputs)) {
    const dims = declared
      .get(name)
      ?.dims?.map((dim, i): Dim => (i > 0 && typeof dim === 'number' ? dim : ''));
    const before = valueInfo(graph, name);
    const merged = dims && before.type !== undefined ? withDims(before, dims) : before;
    if (merged === before || merged.dims?.every((dim) => dim === '')) continue;
    values.set(name, merged);
    changed = true;
  }
  return changed ? { ...graph, values } : graph;
}
