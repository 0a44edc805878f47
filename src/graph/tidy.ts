import { numbersOf } from '../onnx/constant.js';
import { intAttribute, intsAttribute, stringAttribute, withAttributes } from './attributes.js';
import { Builder, rewritten } from './builder.js';
import { is } from './facts.js';
import { dimsAreKnown, type Graph, type Node, producers, readsOf, valueInfo } from './graph.js';

/**
 * Softmax over the last axis as one node, where canonicalisation, which did not know the ranks, wrote it between
 * Flatten and Reshape. The same graph where there is none.
 */
export function tidySoftmax(graph: Graph): Graph {
  const made = producers(graph);
  const replaced = new Set<Node>();
  const nodes = graph.nodes.map((node): Node => {
    if (node.opType !== 'Reshape' || node.domain !== '') return node;
    const soft = made.get(node.inputs[0]);
    const flat = soft && is(soft, 'overAxis') ? made.get(soft.inputs[0]) : undefined;
    if (!soft || flat?.opType !== 'Flatten') return node;
    const { dims } = valueInfo(graph, flat.inputs[0]);
    const back = made.get(node.inputs[1]);
    const isBack = back?.opType === 'Shape' && back.inputs[0] === flat.inputs[0];
    if (!isBack || !dims || intAttribute(flat, 'axis', 1) !== dims.length - 1) return node;
    for (const part of [soft, flat, back]) replaced.add(part);
    const whole = withAttributes(soft, { axis: -1 });
    return { ...whole, name: node.name, inputs: flat.inputs, outputs: node.outputs };
  });
  if (replaced.size === 0) return graph;
  const read = new Set([
    ...nodes.filter((node) => !replaced.has(node)).flatMap(readsOf),
    ...graph.outputs.map(({ name }) => name),
  ]);
  return { ...graph, nodes: nodes.filter((node) => !replaced.has(node) || read.has(node.outputs[0])) };
}

/**
 * Pads for all axes where a Pad names some: ONNX Runtime's optimiser moves a Transpose through such a Pad wrongly. The
 * same graph where there is none whose rank is known.
 */
export function tidyPads(graph: Graph): Graph {
  const namesAxes = ({ opType, domain, inputs }: Node) =>
    opType === 'Pad' && domain === '' && Boolean(inputs[3]);
  if (!graph.nodes.some(namesAxes)) return graph;
  const b = new Builder(graph);
  const whole = (node: Node): Node => {
    if (!namesAxes(node)) return node;
    const { dims } = valueInfo(graph, node.inputs[0]);
    const [pads, axes] = [node.inputs[1], node.inputs[3]].map((name) => graph.constants.get(name));
    if (!dims || !pads || !axes) return node;
    const [sizes, places] = [numbersOf(pads), numbersOf(axes)];
    const all = Array<number>(2 * dims.length).fill(0);
    for (const [i, axis] of places.entries()) {
      const place = axis < 0 ? axis + dims.length : axis;
      if (!(place >= 0 && place < dims.length) || sizes.length !== 2 * places.length) return node;
      all[place] = sizes[i];
      all[place + dims.length] = sizes[i + places.length];
    }
    b.at(node.outputs[0]);
    const inputs = [node.inputs[0], b.ints(all), node.inputs[2]];
    return { ...node, inputs: inputs[2] ? inputs : inputs.slice(0, 2) };
  };
  for (const node of graph.nodes) b.keep(whole(node));
  return b.constants.size > 0 ? rewritten(graph, b) : graph;
}

/**
 * Padding of convolutions by SAME as a Pad of its own where it depends on dims that are known when the model runs:
 * with strides it is max(0, (⌈X/s⌉ − 1)·s + d(k − 1) + 1 − X) an axis. The same graph where there is none.
 */
export function tidySamePads(graph: Graph): Graph {
  const isOpen = (node: Node) => {
    if (node.opType !== 'Conv' || node.domain !== '') return false;
    if (!stringAttribute(node, 'auto_pad', 'NOTSET').startsWith('SAME')) return false;
    const [dims, weight] = [node.inputs[0], node.inputs[1]].map((name) => valueInfo(graph, name).dims);
    const strides = intsAttribute(node, 'strides') ?? [];
    return (
      dims !== undefined &&
      dimsAreKnown(weight?.slice(2)) &&
      strides.some((stride, i) => stride > 1 && typeof dims[i + 2] !== 'number')
    );
  };
  if (!graph.nodes.some(isOpen)) return graph;
  const b = new Builder(graph);
  for (const node of graph.nodes) {
    if (!isOpen(node)) {
      b.keep(node);
      continue;
    }
    b.at(node.outputs[0]);
    const kernel = (valueInfo(graph, node.inputs[1]).dims ?? []).slice(2).map(Number);
    const strides = intsAttribute(node, 'strides') ?? kernel.map(() => 1);
    const dilations = intsAttribute(node, 'dilations') ?? kernel.map(() => 1);
    const size = b.op('Shape', [node.inputs[0]], { start: 2 });
    const stride = b.ints(strides);
    const last = b.div(b.sub(size, b.ints([1])), stride); // ⌈X/s⌉ − 1
    const window = b.ints(kernel.map((k, i) => dilations[i] * (k - 1) + 1));
    const covered = b.add(b.mul(last, stride), window);
    const total = b.op('Max', [b.sub(covered, size), b.ints([0])]);
    const small = b.div(total, b.ints([2]));
    const large = b.sub(total, small);
    const [begin, end] =
      stringAttribute(node, 'auto_pad', '') === 'SAME_UPPER' ? [small, large] : [large, small];
    const outer = b.ints([0, 0]);
    const pads = b.op('Concat', [outer, begin, outer, end], { axis: 0 });
    const padded = b.op('Pad', [node.inputs[0], pads]);
    const plain = withAttributes(node, { auto_pad: 'VALID', pads: undefined });
    b.keep({ ...plain, inputs: node.inputs.with(0, padded) });
  }
  return rewritten(graph, b);
}

/**
 * Pooling that rounds sizes up (`ceil_mode`) with the padding that gives the same windows where sizes are rounded down: a window that
 * would begin in the padding behind is left out, which ONNX Runtime does when it runs, but not where it infers dims. The same graph
 * where all inferred dims are those that it computes.
 */
export function tidyCeilPools(graph: Graph): Graph {
  let isChanged = false;
  const nodes = graph.nodes.map((node) => {
    const pads = padsWithoutCeil(graph, node);
    if (!pads) return node;
    isChanged = true;
    return withAttributes(node, { ceil_mode: 0, pads, auto_pad: undefined });
  });
  return isChanged ? { ...graph, nodes } : graph;
}

const pools = ['MaxPool', 'AveragePool', 'LpPool'];

function padsWithoutCeil(graph: Graph, node: Node): readonly number[] | undefined {
  if (!pools.includes(node.opType) || node.domain !== '' || intAttribute(node, 'ceil_mode', 0) === 0)
    return undefined;
  if (stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET') return undefined;
  const kernel = intsAttribute(node, 'kernel_shape') ?? [];
  const sizes = valueInfo(graph, node.inputs[0]).dims?.slice(2) ?? [];
  if (sizes.length !== kernel.length || !dimsAreKnown(sizes)) return undefined;
  const ones = kernel.map(() => 1);
  const strides = intsAttribute(node, 'strides', ones);
  const dilations = intsAttribute(node, 'dilations', ones);
  const pads = intsAttribute(node, 'pads', [...ones, ...ones].fill(0));
  const [begin, end] = [pads.slice(0, kernel.length), pads.slice(kernel.length)];
  let isDropped = false;
  const behind = kernel.map((k, i) => {
    const window = dilations[i] * (k - 1) + 1;
    const inside = Number(sizes[i]) + begin[i]; // where windows may begin
    const steps = Math.ceil((inside + end[i] - window) / strides[i]);
    const last = steps * strides[i] >= inside ? steps - 1 : steps;
    isDropped ||= last < steps;
    return Math.max(0, last * strides[i] + window - inside);
  });
  // A mean that counts the padding would count more of it.
  const countsMore =
    intAttribute(node, 'count_include_pad', 0) === 1 && behind.some((pad, i) => pad > end[i]);
  return isDropped && !countsMore ? [...begin, ...behind] : undefined;
}
