import { type Known, isExact, isNumber } from './arithmetic.js';
import { intAttribute, intsAttribute } from './attributes.js';
import { type Dim, type Graph, type Node, valueInfo } from './graph.js';

/** What is known of a value that is a list of sizes. */
export type Read = (name: string | undefined) => Known | undefined;

/**
 * Dims of a node's first output where they follow from a list that is computed, which ONNX Runtime does not follow; ''
 * where they are not known. undefined for other nodes.
 */
export function computedDims(node: Node, graph: Graph, read: Read): readonly Dim[] | undefined {
  if (node.domain !== '') return undefined;
  const { dims } = valueInfo(graph, node.inputs[0] ?? '');
  const list = read(node.inputs[1])?.items;
  switch (node.opType) {
    case 'Reshape':
      return list && reshaped(list, dims, intAttribute(node, 'allowzero', 0) === 0);
    case 'Flatten':
      return dims && flattened(dims, intAttribute(node, 'axis', 1));
    case 'Resize':
      return dims && resized(node, dims, read);
    case 'Expand':
      return list && dims && broadcast(dims, list);
    case 'ConstantOfShape':
      return read(node.inputs[0])?.items;
    case 'Tile':
      return dims && list?.length === dims.length ? dims.map((dim, i) => times(dim, list[i])) : undefined;
    case 'Slice':
      return dims && sliced(node, dims, read);
    case 'Pad':
      return dims && padded(node, dims, read);
    case 'TopK':
      return dims && list && replaced(dims, intAttribute(node, 'axis', -1), list[0]);
    case 'AffineGrid': {
      const [N, , ...spatial] = list ?? [];
      return list ? [N, ...spatial, spatial.length] : undefined;
    }
    default:
      return undefined;
  }
}

/** 0 copies a dim; at most one −1 is what is left. */
function reshaped(target: readonly Dim[], dims: readonly Dim[] | undefined, copies: boolean): Dim[] {
  const items = target.map((item, i): Dim => (item === 0 && copies ? (dims?.[i] ?? '') : item));
  const open = items.indexOf(-1);
  return open < 0 ? items : items.with(open, dims ? quotient(dims, items.toSpliced(open, 1)) : '');
}

function flattened(dims: readonly Dim[], axis: number): Dim[] {
  const at = axis < 0 ? axis + dims.length : axis;
  return [quotient(dims.slice(0, at)), quotient(dims.slice(at))];
}

/** What is left of a product of dims without others: a number, a name, or a product of these as `4*N`. */
function quotient(dims: readonly Dim[], others: readonly Dim[] = []): Dim {
  if (dims.includes('') || others.includes('')) return '';
  const [all, gone] = [dims, others].map((list) => list.flatMap(factorsOf));
  const names = all.filter((factor) => !isNumber(factor));
  for (const name of gone.filter((factor) => !isNumber(factor))) {
    const at = names.indexOf(name);
    if (at < 0) return '';
    names.splice(at, 1);
  }
  const size = productOf(all) / productOf(gone);
  if (!Number.isSafeInteger(size)) return '';
  if (names.length === 0) return size;
  return [...(size === 1 ? [] : [size]), ...names.toSorted()].join('*');
}

function productOf(factors: readonly Dim[]): number {
  return factors.filter(isNumber).reduce((a, b) => a * b, 1);
}

/** A dim as numbers and names. */
function factorsOf(dim: Dim): Dim[] {
  if (isNumber(dim) || !/^[\w.]+(\*[\w.]+)+$/.test(dim)) return [dim];
  return dim.split('*').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function resized(node: Node, dims: readonly Dim[], read: Read): Dim[] | undefined {
  const axes = (intsAttribute(node, 'axes') ?? dims.map((_, i) => i)).map((axis) =>
    axis < 0 ? axis + dims.length : axis,
  );
  const [, , scaleInput, sizeInput] = node.inputs;
  const list = read(sizeInput || scaleInput)?.items;
  const policy = node.attributes.get('keep_aspect_ratio_policy')?.value ?? 'stretch';
  if (!list || list.length !== axes.length || policy !== 'stretch') return undefined;
  const result = [...dims];
  axes.forEach((axis, i) => {
    const [dim, item] = [dims[axis], list[i]];
    if (sizeInput) result[axis] = item;
    else if (item !== 1) result[axis] = isNumber(dim) && isNumber(item) ? Math.floor(dim * item) : '';
  });
  return result;
}

/** Dims of two operands, broadcast to each other. */
export function broadcast(a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  const [x, y] = [a, b].map((dims) => [...Array<Dim>(rank - dims.length).fill(1), ...dims]);
  return x.map((dim, i) => {
    if (y[i] === 1 || dim === y[i]) return dim;
    if (dim === 1) return y[i];
    return isNumber(dim) ? dim : isNumber(y[i]) ? y[i] : '';
  });
}

function times(dim: Dim, count: Dim): Dim {
  if (count === 1 || dim === 1) return count === 1 ? dim : count;
  return isNumber(dim) && isExact(count) ? dim * count : '';
}

/** The dims of a slice whose bounds are known. */
function sliced(node: Node, dims: readonly Dim[], read: Read): Dim[] | undefined {
  const [starts, ends] = [read(node.inputs[1])?.items, read(node.inputs[2])?.items];
  if (!starts || !ends) return undefined;
  const axes = node.inputs[3] ? read(node.inputs[3])?.items : starts.map((_, i) => i);
  const steps = node.inputs[4] ? read(node.inputs[4])?.items : starts.map(() => 1);
  if (!axes?.every(isNumber) || !steps?.every(isNumber)) return undefined;
  const result = [...dims];
  (axes as number[]).forEach((given, i) => {
    const axis = given < 0 ? given + dims.length : given;
    result[axis] = lengthOf(dims[axis], starts[i], ends[i], steps[i] as number);
  });
  return result;
}

function lengthOf(dim: Dim, start: Dim, end: Dim, step: number): Dim {
  const isWhole = start === 0 && step === 1 && (end === dim || (isNumber(end) && !isExact(end)));
  if (isWhole) return dim;
  if (start === 0 && step === 1 && !isNumber(end) && end !== '' && dim === '') return '';
  if (!isNumber(dim) || !isNumber(start) || !isNumber(end) || step === 0) return '';
  const place = (at: number, least: number, most: number) =>
    Math.min(Math.max(at < 0 ? at + dim : at, least), most);
  const [from, to] =
    step > 0
      ? [place(start, 0, dim), place(end, 0, dim)]
      : [place(start, 0, dim - 1), place(end, -1, dim - 1)];
  return Math.max(Math.ceil((to - from) / step), 0);
}

function padded(node: Node, dims: readonly Dim[], read: Read): Dim[] | undefined {
  const pads = read(node.inputs[1])?.items;
  const axes = node.inputs[3] ? read(node.inputs[3])?.items : dims.map((_, i) => i);
  if (!pads || !axes?.every(isNumber) || pads.length !== 2 * axes.length) return undefined;
  const result = [...dims];
  (axes as number[]).forEach((given, i) => {
    const axis = given < 0 ? given + dims.length : given;
    const [dim, before, after] = [dims[axis], pads[i], pads[i + axes.length]];
    if (before === 0 && after === 0) return;
    result[axis] = isNumber(dim) && isExact(before) && isExact(after) ? dim + before + after : '';
  });
  return result;
}

function replaced(dims: readonly Dim[], axis: number, item: Dim | undefined): Dim[] | undefined {
  const place = axis < 0 ? axis + dims.length : axis;
  return item === undefined || place < 0 || place >= dims.length ? undefined : dims.with(place, item);
}
