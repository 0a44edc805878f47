import { intAttribute } from './attributes.js';
import { descendants, type Graph } from './graph.js';

/** What a NonMaxSuppression chooses from: all candidates, before it drops those that overlap better ones. */
export interface Suppression {
  /** [N, candidates, 4] */
  readonly boxes: string;
  /** [N, classes, candidates] */
  readonly scores: string;
  /** Boxes are centre and size instead of two corners, y first. */
  readonly isCentred: boolean;
}

/** The last NonMaxSuppression that depends on the picture. */
export function findSuppression(graph: Graph, image: string): Suppression | undefined {
  const varying = descendants(graph, [image]);
  const node = graph.nodes.findLast(
    ({ opType, domain, inputs }) =>
      domain === '' &&
      opType === 'NonMaxSuppression' &&
      inputs.slice(0, 2).every((name) => varying.has(name)),
  );
  if (!node) return undefined;
  const [boxes, scores] = node.inputs;
  return { boxes, scores, isCentred: intAttribute(node, 'center_point_box', 0) === 1 };
}
