import { numbersOf } from '../onnx/constant.js';
import { DataType, isFloat } from '../onnx/types.js';
import { sizeOf } from '../tensor.js';
import { intAttribute, tensorAttribute } from './attributes.js';
import { type Dim, type Graph, type Node, valueInfo } from './graph.js';

/** A short list, or a single number, whose items are known, known to be some dim (its name), or unknown (''). */
export interface Known {
  readonly scalar: boolean;
  readonly items: readonly Dim[];
  /** Whether the items are floats, whose quotients are not rounded. */
  readonly float?: boolean;
}

export function isNumber(item: Dim | undefined): item is number {
  return typeof item === 'number';
}

/** Not the bound that larger numbers are clamped to, such as the end of a Slice. */
export function isExact(item: Dim | undefined): item is number {
  return isNumber(item) && Math.abs(item) < Number.MAX_SAFE_INTEGER;
}

/** Lists of dims are short. */
const mostItems = 64;

/** What is known of a value that is such a list: by earlier nodes, or as a constant. */
export function knownOf(graph: Graph, known: ReadonlyMap<string, Known>, name: string): Known | undefined {
  const found = known.get(name);
  if (found) return found;
  const constant = graph.constants.get(name);
  if (!constant || constant.dims.length > 1 || sizeOf(constant.dims) > mostItems || constant.strings)
    return undefined;
  const isWhole = [DataType.INT64, DataType.INT32, DataType.BOOL].includes(constant.type);
  const float = isFloat(constant.type);
  if (!isWhole && !float) return undefined;
  return { scalar: constant.dims.length === 0, items: numbersOf(constant), float };
}

/** The list that a node makes of dims and of known lists; undefined where it makes none. */
export function evaluateList(node: Node, graph: Graph, known: ReadonlyMap<string, Known>): Known | undefined {
  if (node.domain !== '') return undefined;
  if (node.opType === 'Shape') return shapeOf(node, graph);
  const inputs = node.inputs.map((name) => knownOf(graph, known, name));
  const [a, b, c] = inputs;
  if (!a) return undefined;
  switch (node.opType) {
    case 'Identity':
      return a;
    case 'Cast':
      return cast(a, intAttribute(node, 'to', DataType.INT64) as DataType);
    case 'Squeeze':
      return a.items.length === 1 ? { ...a, scalar: true } : undefined;
    case 'Unsqueeze':
      return a.scalar ? { ...a, scalar: false } : undefined;
    case 'Reshape':
    case 'Flatten':
      return valueInfo(graph, node.outputs[0]).dims?.length === 1 ? { ...a, scalar: false } : undefined;
    case 'Concat':
      return inputs.every((input) => input !== undefined)
        ? { scalar: false, items: inputs.flatMap((input) => input?.items ?? []), float: a.float }
        : undefined;
    case 'Gather':
      return b?.items.every(isNumber)
        ? { scalar: b.scalar, items: b.items.map((i) => a.items.at(i as number) ?? ''), float: a.float }
        : undefined;
    case 'Slice':
      return slice(a, inputs);
    case 'ConstantOfShape':
      return filled(a, node);
    case 'ReduceProd':
      return product(a, intAttribute(node, 'keepdims', 1) === 0);
    case 'Neg':
    case 'Floor':
    case 'Ceil':
      return mapped(a, node.opType);
    case 'Add':
    case 'Sub':
    case 'Mul':
    case 'Div':
    case 'Max':
    case 'Min':
    case 'Equal':
      return b && inputs.length === 2 ? combine(node.opType, a, b) : undefined;
    case 'Where':
      return b && c && choose(a, b, c);
    default:
      return undefined;
  }
}

function shapeOf(node: Node, graph: Graph): Known | undefined {
  const { dims, type } = valueInfo(graph, node.inputs[0]);
  const isUncertain = dims?.length === 0 && (type === undefined || !isFloat(type)); // a scalar, or of unknown rank
  if (!dims || isUncertain) return undefined;
  const [start, end] = [intAttribute(node, 'start', 0), intAttribute(node, 'end', dims.length)];
  return { scalar: false, items: dims.slice(start, end) };
}

function cast(a: Known, to: DataType): Known | undefined {
  if (isFloat(to)) return { ...a, float: true };
  if (to !== DataType.INT64 && to !== DataType.INT32) return undefined;
  return {
    scalar: a.scalar,
    items: a.float ? a.items.map((item) => (isNumber(item) ? Math.trunc(item) : item)) : a.items,
  };
}

function slice(a: Known, inputs: readonly (Known | undefined)[]): Known | undefined {
  const [start, end, , step] = inputs.slice(1).map((input) => input?.items[0]);
  if (!isNumber(start) || !isNumber(end) || (inputs.length > 4 && step !== 1)) return undefined;
  return { scalar: false, items: a.items.slice(start, end), float: a.float };
}

/** A list of so many equal items. */
function filled(a: Known, node: Node): Known | undefined {
  const value = tensorAttribute(node, 'value');
  const [length, ...more] = a.items;
  if (!isNumber(length) || length < 0 || length > mostItems || more.length > 0) return undefined;
  const item = value ? numbersOf(value)[0] : 0;
  return { scalar: false, items: Array<number>(length).fill(item), float: !value || isFloat(value.type) };
}

function product(a: Known, scalar: boolean): Known {
  const whole = a.items.every(isExact) ? a.items.reduce((x, y) => x * y, 1) : '';
  return { scalar, items: [isExact(whole) ? whole : ''], float: a.float };
}

function mapped(a: Known, op: string): Known {
  const f = op === 'Neg' ? (x: number) => -x : op === 'Floor' ? Math.floor : Math.ceil;
  return { ...a, items: a.items.map((item) => (isExact(item) ? f(item) : '')) };
}

function combine(op: string, a: Known, b: Known): Known | undefined {
  const length = Math.max(a.items.length, b.items.length);
  if ([a, b].some(({ items }) => items.length !== 1 && items.length !== length)) return undefined;
  const float = a.float ?? b.float;
  const items = Array.from({ length }, (_, i): Dim => {
    const x = a.items[a.items.length === 1 ? 0 : i];
    const y = b.items[b.items.length === 1 ? 0 : i];
    if (x === '' || y === '') return '';
    if (!isNumber(x) || !isNumber(y)) return neutral(op, x, y);
    const result = isExact(x) && isExact(y) ? compute(op, x, y, float ?? false) : Number.NaN;
    return (float ? Number.isFinite(result) : Number.isSafeInteger(result)) ? result : '';
  });
  return { scalar: a.scalar && b.scalar, items, float: op === 'Equal' ? false : float };
}

function compute(op: string, x: number, y: number, float: boolean): number {
  switch (op) {
    case 'Add':
      return x + y;
    case 'Sub':
      return x - y;
    case 'Mul':
      return x * y;
    case 'Max':
      return Math.max(x, y);
    case 'Min':
      return Math.min(x, y);
    case 'Equal':
      return Number(x === y);
    default:
      return float ? x / y : Math.trunc(x / y);
  }
}

/** `N * 1`, `N / 1`, `N + 0`, `N - 0` are still `N`; no dim is negative. */
function neutral(op: string, x: Dim, y: Dim): Dim {
  if (op === 'Equal') return x === y ? 1 : [x, y].some((item) => isNumber(item) && item < 0) ? 0 : '';
  if (op === 'Max' || op === 'Min') return x === y ? x : '';
  const unit = op === 'Mul' || op === 'Div' ? 1 : 0;
  if (y === unit) return x;
  return x === unit && (op === 'Mul' || op === 'Add') ? y : '';
}

function choose(condition: Known, a: Known, b: Known): Known | undefined {
  const length = Math.max(condition.items.length, a.items.length, b.items.length);
  const lists = [condition, a, b];
  if (lists.some(({ items }) => items.length !== 1 && items.length !== length)) return undefined;
  const at = ({ items }: Known, i: number) => items[items.length === 1 ? 0 : i];
  const items = Array.from({ length }, (_, i): Dim => {
    const chosen = at(condition, i);
    if (chosen === '') return at(a, i) === at(b, i) ? at(a, i) : '';
    return chosen === 0 ? at(b, i) : at(a, i);
  });
  return { scalar: lists.every(({ scalar }) => scalar), items, float: a.float };
}
