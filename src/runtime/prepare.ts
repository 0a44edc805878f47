import { foldBranches } from '../graph/branch.js';
import { canonicalize } from '../graph/canonical.js';
import { expandComposites } from '../graph/composite.js';
import { foldShapes } from '../graph/fold.js';
import { functionsOf, graphOf } from '../graph/from-model.js';
import type { Graph } from '../graph/graph.js';
import { forInference } from '../graph/inference.js';
import { inlineFunctions } from '../graph/inline.js';
import { toFloat32 } from '../graph/precision.js';
import { foldSequences } from '../graph/sequence.js';
import { tidyPads, tidySamePads, tidySoftmax } from '../graph/tidy.js';
import type { Model } from '../onnx/read.js';
import { DataType } from '../onnx/types.js';
import { foldConstants } from './evaluate.js';
import { inferValues } from './infer.js';

/** Each round can reveal the dims behind one more computed Reshape; networks have some dozens. */
const mostRounds = 100;

/**
 * A model's graph as every later stage wants it: its functions written out, in float32, of canonical operators,
 * dims known, shape arithmetic done.
 *
 * @param keep constants that are not folded into others: weights whose gradients are wanted
 * @param mode 'inference': as it is meant to be used, though it was exported in training mode; default: as it is
 */
export async function prepareGraph(
  model: Model,
  keep: readonly string[] = [],
  mode: 'stored' | 'inference' = 'stored',
): Promise<Graph> {
  const functions = functionsOf(model);
  for (const [key, body] of functions) functions.set(key, { ...body, graph: canonicalize(body.graph) });
  const stored = graphOf(model);
  // The constants that older attributes become take the type of the data, which is float unless said otherwise.
  const typed = usesDouble(stored) && functions.size === 0 ? await inferValues(stored) : stored;
  const graph = toFloat32(inlineFunctions(canonicalize(typed), functions));
  const written = expandComposites(graph);
  return simplify(mode === 'inference' ? forInference(written) : written, keep);
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
  let current = await inferValues(graph);
  for (let round = 0; round < mostRounds; round++) {
    const written = tidySamePads(tidyPads(tidySoftmax(expandComposites(current))));
    const next = await foldConstants(foldSequences(foldBranches(foldShapes(written))), keep);
    if (next === current) break;
    current = await inferValues(next);
  }
  return current;
}
