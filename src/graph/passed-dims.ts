import { isFloat } from '../onnx/types.js';
import { isNumber } from './arithmetic.js';
import { intAttribute, intsAttribute, stringAttribute } from './attributes.js';
import { broadcast, type Read } from './computed-dims.js';
import { is } from './facts.js';
import { type Dim, type Graph, type Node, valueInfo } from './graph.js';

type Dims = readonly Dim[];

/**
 * Dims of a node's outputs that follow from those of its inputs alone, '' where they are not known. ONNX Runtime tells them as
 * well, but only in the next session: with these, one walk over the graph comes through what lies between one computed dim and the next.
 * Operators that are not here pass nothing on.
 */
export function passedDims(node: Node, graph: Graph, read: Read): readonly (Dims | undefined)[] {
  if (node.domain !== '') return [];
  const inputs = node.inputs.map((name) => dimsOf(graph, name));
  const [x] = inputs;
  if (!x) return [];
  if (is(node, 'broadcasts'))
    return inputs.every((dims) => dims !== undefined) ? [inputs.reduce(broadcast)] : [];
  if (is(node, 'elementwise') || is(node, 'overAxis') || likeFirst.has(node.opType)) return [x];
  if (is(node, 'reduces')) return [reduced(node, x, read)];
  switch (node.opType) {
    case 'Transpose': {
      const perm = intsAttribute(node, 'perm');
      return [perm ? perm.map((axis) => x[axis]) : x.toReversed()];
    }
    case 'Concat':
      return inputs.every((dims) => dims?.length === x.length) ? [joined(node, inputs as Dims[])] : [];
    case 'Split':
      return split(node, x, read);
    case 'MatMul':
      return inputs[1] ? [product(x, inputs[1])] : [];
    case 'Gemm':
      return inputs[1]
        ? [[end(x, intAttribute(node, 'transA', 0)), end(inputs[1], 1 - intAttribute(node, 'transB', 0))]]
        : [];
    case 'Conv':
    case 'MaxPool':
    case 'AveragePool':
      return [windowed(node, x, inputs[1])];
    case 'GlobalAveragePool':
    case 'GlobalMaxPool':
      return [x.map((dim, axis) => (axis < 2 ? dim : 1))];
    case 'Gather': {
      const axis = at(intAttribute(node, 'axis', 0), x.length);
      return inputs[1] ? [x.toSpliced(axis, 1, ...inputs[1])] : [];
    }
    case 'Unsqueeze':
      return [unsqueezed(x, read(node.inputs[1])?.items)];
    case 'Squeeze':
      return [squeezed(node, x, read)];
    default:
      return [];
  }
}

/** Operators that are none of these kinds, whose result has the dims of the first input. */
const likeFirst = new Set([
  'BatchNormalization',
  'CumSum',
  'GroupNormalization',
  'InstanceNormalization',
  'LRN',
  'LayerNormalization',
  'RMSNormalization',
  'ScatterElements',
  'ScatterND',
  'Trilu',
]);

/** Dims of which it is certain that they are no others: those of a value of unknown rank look like those of a scalar. */
function dimsOf(graph: Graph, name: string): Dims | undefined {
  const { dims, type } = valueInfo(graph, name);
  const isCertain = dims?.length !== 0 || graph.constants.has(name) || (type !== undefined && isFloat(type));
  return isCertain ? dims : undefined;
}

function at(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** The first axis of a matrix, or the second. */
function end(dims: Dims, axis: number): Dim {
  return dims[axis] ?? '';
}

/** Axes by a known list; undefined where it is not known. */
function axesOf(list: Dims | undefined, rank: number): number[] | undefined {
  return list?.every(isNumber) ? (list as number[]).map((axis) => at(axis, rank)) : undefined;
}

function reduced(node: Node, dims: Dims, read: Read): Dims | undefined {
  const all = intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : [...dims.keys()];
  const given = node.inputs[1] ? axesOf(read(node.inputs[1])?.items, dims.length) : [];
  const axes = given?.length === 0 ? all : given;
  if (!axes) return undefined;
  if (intAttribute(node, 'keepdims', 1) === 0) return dims.filter((_, axis) => !axes.includes(axis));
  return dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
}

function joined(node: Node, parts: readonly Dims[]): Dims {
  const [first] = parts;
  const axis = at(intAttribute(node, 'axis', 0), first.length);
  return first.map((_, i) => {
    const own = parts.map((dims) => dims[i]);
    if (i === axis)
      return own.every(isNumber) ? own.reduce((a, b) => a + b, 0) : parts.length === 1 ? own[0] : '';
    return own.find(isNumber) ?? own.find((dim) => dim !== '') ?? '';
  });
}

function split(node: Node, dims: Dims, read: Read): readonly Dims[] {
  const axis = at(intAttribute(node, 'axis', 0), dims.length);
  const list = node.inputs[1] ? read(node.inputs[1])?.items : undefined;
  const [size, count] = [dims[axis], node.outputs.length];
  const share = isNumber(size) ? Math.ceil(size / count) : '';
  return node.outputs.map((_, i) => {
    if (node.inputs[1]) return dims.with(axis, list?.[i] ?? '');
    const isLast = i === count - 1 && isNumber(size) && isNumber(share);
    return dims.with(axis, isLast ? size - share * (count - 1) : share);
  });
}

function product(a: Dims, b: Dims): Dims | undefined {
  if (a.length === 0 || b.length === 0) return undefined;
  const rows = a.length === 1 ? [] : [a[a.length - 2]];
  const columns = b.length === 1 ? [] : [b[b.length - 1]];
  return [...broadcast(a.slice(0, -2), b.slice(0, -2)), ...rows, ...columns];
}

/** A window that moves over the picture: of a convolution, whose weights say how large it is, or of a pooling. */
function windowed(node: Node, [n, channels, ...sizes]: Dims, weight: Dims | undefined): Dims | undefined {
  const kernel = intsAttribute(node, 'kernel_shape') ?? weight?.slice(2);
  if (!kernel?.every(isNumber) || kernel.length !== sizes.length) return undefined;
  const isConv = node.opType === 'Conv';
  const strides = intsAttribute(node, 'strides');
  const dilations = intsAttribute(node, 'dilations');
  const pads = intsAttribute(node, 'pads');
  const auto = stringAttribute(node, 'auto_pad', 'NOTSET');
  const places = sizes.map((size, i): Dim => {
    if (!isNumber(size)) return '';
    const stride = strides?.[i] ?? 1;
    if (auto.startsWith('SAME')) return Math.ceil(size / stride);
    const margin = auto === 'VALID' ? 0 : (pads?.[i] ?? 0) + (pads?.[i + sizes.length] ?? 0);
    const steps = (size + margin - (dilations?.[i] ?? 1) * ((kernel[i] as number) - 1) - 1) / stride;
    const isWhole = Number.isInteger(steps) || intAttribute(node, 'ceil_mode', 0) === 0;
    return isWhole ? Math.floor(steps) + 1 : '';
  });
  return [n, isConv ? (weight?.[0] ?? '') : channels, ...places];
}

function unsqueezed(dims: Dims, list: Dims | undefined): Dims | undefined {
  const axes = axesOf(list, dims.length + (list?.length ?? 0));
  if (!axes) return undefined;
  const rest = dims[Symbol.iterator]();
  return Array.from({ length: dims.length + axes.length }, (_, axis) =>
    axes.includes(axis) ? 1 : (rest.next().value as Dim),
  );
}

function squeezed(node: Node, dims: Dims, read: Read): Dims | undefined {
  const axes = node.inputs[1] ? axesOf(read(node.inputs[1])?.items, dims.length) : undefined;
  if (node.inputs[1]) return axes && dims.filter((_, axis) => !axes.includes(axis));
  return dims.every(isNumber) ? dims.filter((dim) => dim !== 1) : undefined;
}
