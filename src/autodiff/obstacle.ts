import { GradcamppError } from '../errors.js';
import type { Name } from '../graph/builder.js';
import { type Graph, label } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import { between } from '../graph/paths.js';
import { stops, table } from './table.js';
import { appendGradient } from './walk.js';

/**
 * Why there is no gradient of some scores by a value, as the sentence that building it would fail with: an operator
 * between them has no rule, or lets nothing through. undefined where there is one. Costs a walk over the nodes between.
 */
export function gradientObstacle(graph: Graph, value: Name, scores: Name): string | undefined {
  try {
    const { reached } = appendGradient(graph, { of: [{ output: scores, seed: 'seed' }], wrt: [value] });
    return reached.has(value) ? undefined : whatStops(graph, value, scores);
  } catch (error) {
    if (error instanceof GradcamppError) return error.message;
    throw error;
  }
}

/** Whether there is a gradient of some scores by a value; `gradientObstacle` says why not. */
export function hasGradient(graph: Graph, value: Name, scores: Name): boolean {
  return gradientObstacle(graph, value, scores) === undefined;
}

function whatStops(graph: Graph, value: Name, scores: Name): string {
  const onPath = between(graph, value, scores);
  const node = graph.nodes.find((item) => stops(item) && item.outputs.some((name) => onPath.has(name)));
  const row = node && table[node.opType];
  const why =
    node && row?.outcome === 'stop'
      ? `${label(node)} lets none through (${row.reason})`
      : 'nothing depends on it';
  return `The gradient of "${scores}" by "${value}" is zero everywhere: ${why}.`;
}

/** The first of some layers, best first, that has a gradient where the layer itself has none. */
export function withGradient(graph: Graph, layer: Layer, layers: readonly Layer[], scores: Name): Layer {
  const obstacle = hasRules(graph, layer.name, scores)
    ? undefined
    : gradientObstacle(graph, layer.name, scores);
  if (obstacle === undefined) return layer;
  const next = layers.find(
    ({ name, isRead }) => isRead && hasRules(graph, name, scores) && hasGradient(graph, name, scores),
  );
  return next ? { ...next, obstacle } : layer;
}

/** Whether every operator between a value and the scores has a rule, which is seen without building anything. */
export function hasRules(graph: Graph, value: Name, scores: Name): boolean {
  const onPath = between(graph, value, scores);
  return graph.nodes.every(
    (node) =>
      !node.outputs.some((name) => name !== value && onPath.has(name)) ||
      (node.domain === '' && table[node.opType]?.outcome === 'rule'),
  );
}
