import { int64Constant } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import { evaluateList, isExact, isNumber, type Known, knownOf } from './arithmetic.js';
import { intAttribute, withAttributes } from './attributes.js';
import { Builder, rewritten } from './builder.js';
import { computedDims, type Read } from './computed-dims.js';
import { type Dim, type Graph, type Node, type ValueInfo, valueInfo } from './graph.js';
import { passedDims } from './passed-dims.js';

/**
 * Replaces shape arithmetic by constants as far as dims are known, a symbolic batch beside them
 * notwithstanding: `[N, C/2, H, W]` becomes the Reshape target `[0, 29, 28, 28]`. Where more than one dim stays unknown, and
 * for other operators whose dims are computed, those that follow are noted. What is found of one node counts for those behind it,
 * so that one walk comes through a chain of them. Returns the same graph where nothing changes.
 */
export function foldShapes(graph: Graph): Graph {
  const known = new Map<string, Known>();
  const b = new Builder(graph);
  const values = new Map(graph.values);
  const current: Graph = { ...graph, values };
  const given = new Set(graph.outputs.map(({ name }) => name));
  const read = (name: string | undefined) => knownOf(current, known, name ?? '');
  let changed = false;
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const value = evaluateList(node, current, known);
    if (value) known.set(output, value);
    const before = valueInfo(current, output);
    if (value && !given.has(output) && value.items.every(isExact) && before.type === DataType.INT64) {
      b.constants.set(output, int64Constant(value.items, value.scalar ? [] : [value.items.length]));
      changed = true;
      continue;
    }
    const dims = computedDims(node, current, read);
    const merged = dims && withDims(before, dims);
    if (merged && merged !== before) {
      values.set(output, merged);
      changed = true;
    }
    if (!dims) passOn(node, current, values, read);
    const fixed = node.opType === 'Reshape' && fixedTarget(node, current, read(node.inputs[1]));
    if (fixed) {
      b.at(output);
      const inputs = [node.inputs[0], b.ints(fixed)];
      b.keep({ ...withAttributes(node, { allowzero: undefined }), inputs });
      changed = true;
      continue;
    }
    b.keep(node);
  }
  return changed ? { ...rewritten(graph, b), values } : graph;
}

/** Notes for the rest of the walk what a node's outputs have of its inputs' dims; ONNX Runtime will tell them itself. */
function passOn(node: Node, graph: Graph, values: Map<string, ValueInfo>, read: Read): void {
  const open = node.outputs.map((name) => (name ? valueInfo(graph, name) : undefined));
  if (open.every((info) => info?.dims?.every(isNumber) ?? info === undefined)) return;
  for (const [i, dims] of passedDims(node, graph, read).entries()) {
    const info = open[i];
    if (!info || !dims) continue;
    const merged = withDims(info, dims);
    if (merged !== info) values.set(info.name, { ...merged, isNoted: info.isNoted });
  }
}

/** A value with what else is known of its dims; the same where nothing is new. */
export function withDims(info: ValueInfo, dims: readonly Dim[]): ValueInfo {
  const inferred = info.dims ?? dims.map(() => '');
  if (inferred.length !== dims.length || dims.length === 0) return info;
  const merged = inferred.map((dim, i) => (isNumber(dim) ? dim : sizeOr(dims[i], dim)));
  const isNew = info.dims === undefined || merged.some((dim, i) => dim !== inferred[i]);
  return isNew ? { ...info, dims: merged, isNoted: true } : info;
}

/** A size that is told, else the name that there is, else the one that is told. */
function sizeOr(told: Dim, known: Dim): Dim {
  return isNumber(told) && told >= 0 ? told : known || (isNumber(told) ? '' : told);
}

/** A constant in the place of a computed target; undefined where more than one dim would have to be found. */
function fixedTarget(node: Node, graph: Graph, target: Known | undefined): number[] | undefined {
  if (!target || graph.constants.has(node.inputs[1])) return undefined;
  const { dims } = valueInfo(graph, node.inputs[0]);
  const { items } = target;
  if (intAttribute(node, 'allowzero', 0) === 1 && items.includes(0)) return undefined;
  if (items.some((item) => isNumber(item) && !isExact(item))) return undefined;
  const fixed = items.map((item, i) => {
    if (isNumber(item)) return item;
    return item !== '' && dims?.[i] === item ? 0 : -1;
  });
  return fixed.filter((item) => item === -1).length <= 1 ? fixed : undefined;
}
