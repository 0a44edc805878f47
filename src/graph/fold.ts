import { int64Constant, numbersOf } from '../onnx/constant.js';
import { DataType, isFloat } from '../onnx/types.js';
import { sizeOf } from '../tensor.js';
import { intAttribute } from './attributes.js';
import { Builder, rewritten } from './builder.js';
import { type Dim, type Graph, type Node, valueInfo } from './graph.js';

/** A whole-number list whose items are known, known to be some dim (its name), or unknown (''). */
interface Known {
  readonly scalar: boolean;
  readonly items: readonly Dim[];
}

/**
 * Replaces shape arithmetic by constants as far as dims are known, a symbolic batch beside them
 * notwithstanding: `[N, C/2, H, W]` becomes the Reshape target `[0, 29, 28, 28]`. A Reshape to more than one unknown
 * dim keeps its target, but its other dims are noted. Returns the same graph where nothing could be replaced.
 */
export function foldShapes(graph: Graph): Graph {
  const known = new Map<string, Known>();
  const b = new Builder(graph);
  const values = new Map(graph.values);
  let changed = false;
  for (const node of graph.nodes) {
    const value = evaluate(node, graph, known);
    if (value) {
      known.set(node.outputs[0], value);
      const { items, scalar } = value;
      if (!graph.outputs.some((output) => output.name === node.outputs[0]) && items.every(isExact)) {
        const type = valueInfo(graph, node.outputs[0]).type;
        if (type === DataType.INT64) {
          b.constants.set(node.outputs[0], int64Constant(items, scalar ? [] : [items.length]));
          changed = true;
          continue;
        }
      }
    }
    const target = node.opType === 'Reshape' && known.get(node.inputs[1]);
    if (target && !graph.constants.has(node.inputs[1])) {
      const fixed = reshapeTarget(target.items, valueInfo(graph, node.inputs[0]).dims);
      if (fixed) {
        b.at(node.outputs[0]);
        b.keep({ ...node, inputs: [node.inputs[0], b.ints(fixed)] });
        changed = true;
        continue;
      }
      const [output] = node.outputs;
      const before = valueInfo(graph, output);
      const dims = reshapedDims(target.items, before.dims);
      if (dims.some((dim, i) => dim !== before.dims?.[i])) {
        values.set(output, { ...before, dims });
        changed = true;
      }
    }
    b.keep(node);
  }
  return changed ? { ...rewritten(graph, b), values } : graph;
}

/** Dims of a Reshape whose target stays computed: channels are often known where height and width are not. */
function reshapedDims(items: readonly Dim[], inferred: readonly Dim[] | undefined): Dim[] {
  return items.map((item, i) => {
    const known = inferred?.length === items.length ? inferred[i] : '';
    if (isNumber(known)) return known;
    return isNumber(item) ? (item > 0 ? item : known) : known || item;
  });
}

/** Not the bound that larger numbers are clamped to, such as the end of a Slice. */
function isExact(item: Dim): item is number {
  return isNumber(item) && Math.abs(item) < Number.MAX_SAFE_INTEGER;
}

function isNumber(item: Dim): item is number {
  return typeof item === 'number';
}

/** A constant target: 0 copies a dim that stays where it is, -1 stands for at most one other. */
function reshapeTarget(items: readonly Dim[], dims: readonly Dim[] | undefined): number[] | undefined {
  if (items.every(isExact)) return [...items];
  if (items.some((item) => isNumber(item) && !isExact(item))) return undefined;
  const target = items.map((item, i) => {
    if (isNumber(item)) return item;
    return item !== '' && dims?.[i] === item ? 0 : -1;
  });
  return target.filter((item) => item === -1).length <= 1 ? target : undefined;
}

function evaluate(node: Node, graph: Graph, known: ReadonlyMap<string, Known>): Known | undefined {
  if (node.domain !== '') return undefined;
  const read = (name: string): Known | undefined => {
    const found = known.get(name);
    if (found) return found;
    const constant = graph.constants.get(name);
    if (!constant || constant.dims.length > 1 || sizeOf(constant.dims) > 64) return undefined;
    const whole = constant.type === DataType.INT64 || constant.type === DataType.INT32;
    return whole ? { scalar: constant.dims.length === 0, items: numbersOf(constant) } : undefined;
  };
  if (node.opType === 'Shape') {
    const { dims, type } = valueInfo(graph, node.inputs[0]);
    const isUncertain = dims?.length === 0 && (type === undefined || !isFloat(type)); // a scalar, or of unknown rank
    if (!dims || isUncertain) return undefined;
    return {
      scalar: false,
      items: dims.slice(intAttribute(node, 'start', 0), intAttribute(node, 'end', dims.length)),
    };
  }
  const inputs = node.inputs.map(read);
  const [a, b] = inputs;
  if (!a) return undefined;
  switch (node.opType) {
    case 'Identity':
    case 'Cast':
      return intAttribute(node, 'to', DataType.INT64) === DataType.INT64 ? a : undefined;
    case 'Squeeze':
      return a.items.length === 1 ? { scalar: true, items: a.items } : undefined;
    case 'Unsqueeze':
      return a.scalar ? { scalar: false, items: a.items } : undefined;
    case 'Concat':
      return inputs.every((input) => input !== undefined)
        ? { scalar: false, items: inputs.flatMap((input) => input?.items ?? []) }
        : undefined;
    case 'Gather':
      return b?.items.every(isNumber)
        ? { scalar: b.scalar, items: b.items.map((i) => a.items.at(i as number) ?? '') }
        : undefined;
    case 'Slice':
      return slice(a, inputs);
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
      return b && combine(node.opType, a, b);
    default:
      return undefined;
  }
}

function slice(a: Known, inputs: readonly (Known | undefined)[]): Known | undefined {
  const [start, end, , step] = inputs.slice(1).map((input) => input?.items[0]);
  if (!isNumber(start ?? '') || !isNumber(end ?? '') || (inputs.length > 4 && step !== 1)) return undefined;
  return { scalar: false, items: a.items.slice(start as number, end as number) };
}

function combine(op: string, a: Known, b: Known): Known | undefined {
  const length = Math.max(a.items.length, b.items.length);
  if ([a, b].some(({ items }) => items.length !== 1 && items.length !== length)) return undefined;
  const items = Array.from({ length }, (_, i): Dim => {
    const x = a.items[a.items.length === 1 ? 0 : i];
    const y = b.items[b.items.length === 1 ? 0 : i];
    if (x === '' || y === '') return '';
    if (!isNumber(x) || !isNumber(y)) return neutral(op, x, y);
    const result = isExact(x) && isExact(y) ? compute(op, x, y) : Number.NaN;
    return Number.isSafeInteger(result) ? result : '';
  });
  return { scalar: a.scalar && b.scalar, items };
}

function compute(op: string, x: number, y: number): number {
  if (op === 'Add') return x + y;
  if (op === 'Sub') return x - y;
  return op === 'Mul' ? x * y : Math.trunc(x / y);
}

/** `N * 1`, `N / 1`, `N + 0`, `N - 0` are still `N`. */
function neutral(op: string, x: Dim, y: Dim): Dim {
  const unit = op === 'Mul' || op === 'Div' ? 1 : 0;
  if (y === unit) return x;
  return x === unit && (op === 'Mul' || op === 'Add') ? y : '';
}
