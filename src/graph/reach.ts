import type { Axes } from './axes.js';
import { type Axis, hasPlaces, isSequence } from './digits.js';
import { is } from './facts.js';
import { type Graph, type Node, readersOf } from './graph.js';

/** Operators that hand on each token, or some of them. */
const takers = new Set(['Slice', 'Gather', 'Split']);

/**
 * Whether the patches of a value of tokens have a say in the scores. Behind the last attention they have none where the
 * class token alone is read: their gradient is zero, and a map of them empty.
 *
 * @param onPath the values between the picture and the scores
 */
export function patchesReach(
  graph: Graph,
  axes: ReadonlyMap<string, Axes>,
  onPath: ReadonlySet<string>,
): (name: string) => boolean {
  const readers = readersOf(graph);
  const known = new Map<string, boolean>();
  const reach = (name: string): boolean => {
    if (!isMixed(axes.get(name))) return true;
    let found = known.get(name);
    if (found === undefined) {
      known.set(name, false);
      found = (readers.get(name) ?? []).some((node) => !node || goesOn(node, name));
      known.set(name, found);
    }
    return found;
  };
  const goesOn = (node: Node, name: string): boolean =>
    node.outputs.some((output) => {
      if (!onPath.has(output)) return false;
      if (isMixed(axes.get(output)) && isByToken(node, name, axes)) return reach(output);
      return !takers.has(node.opType) || (axes.get(output)?.some(hasPlaces) ?? false);
    });
  return reach;
}

/** Whether patches and other tokens share an axis. */
function isMixed(axes: Axes | undefined): boolean {
  return axes?.some(isSequenceAxis) ?? false;
}

function isSequenceAxis(axis: Axis): boolean {
  return axis.length === 1 && isSequence(axis[0]) && hasPlaces(axis);
}

/** Whether each token of the result follows from the same token of the value: not so of the keys and values of attention. */
function isByToken(node: Node, name: string, axes: ReadonlyMap<string, Axes>): boolean {
  const own = axes.get(name) ?? [];
  if (node.opType !== 'MatMul' && node.opType !== 'Einsum')
    return node.opType !== 'Attention' && !is(node, 'reduces');
  const isContracted = isSequenceAxis(own[own.length - 1]) && !isSequenceAxis(own[own.length - 2]);
  return node.opType === 'MatMul' && node.inputs[0] === name && node.inputs[1] !== name && !isContracted;
}
