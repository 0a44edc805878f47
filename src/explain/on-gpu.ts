import type { Rule } from '../autodiff/rule.js';
import { globalMaxPoolByPlace, maxPoolByTaps } from '../autodiff/rules/pool-by-taps.js';
import { intAttribute } from '../graph/attributes.js';
import { Builder, Names, rewritten } from '../graph/builder.js';
import { type Graph, type Node, subgraph, valueInfo } from '../graph/graph.js';
import { firstProvider, type SessionOptions } from '../runtime/session.js';

/**
 * What is written otherwise for ONNX Runtime's WebGPU provider, so that nothing of a gradient falls to the CPU, with a copy there
 * and back: chosen here alone.
 */
export interface Formulation {
  /** Rules in place of the table's. */
  readonly rules: Readonly<Record<string, Rule>>;
  /** Whether anything is computed in float64. */
  readonly hasDoubles: boolean;
  /** A graph as a session takes it. */
  readonly written: (graph: Graph) => Graph;
}

const onCpu: Formulation = { rules: {}, hasDoubles: true, written: (graph) => graph };
const onGpu: Formulation = {
  rules: { MaxPool: maxPoolByTaps, GlobalMaxPool: globalMaxPoolByPlace },
  hasDoubles: false, // nor has what ONNX Runtime's build for WebGPU computes on the processor
  written: (graph) => withoutRepeats(withoutLogs(withoutSums(graph))),
};

/** The way in which gradients are written for the first execution provider, which runs what it can. */
export function formulationFor(options: SessionOptions): Formulation {
  return firstProvider(options) === 'webgpu' ? onGpu : onCpu;
}

/** Sums as chains of additions. */
function withoutSums(graph: Graph): Graph {
  if (!graph.nodes.some(({ opType }) => opType === 'Sum')) return graph;
  const names = Names.of(graph);
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (node.opType !== 'Sum' || node.domain !== '') return [node];
    const [first, ...rest] = node.inputs;
    if (rest.length === 0) return [{ ...node, opType: 'Identity' }];
    let sum = first;
    return rest.map((term, i) => {
      const output = i === rest.length - 1 ? node.outputs[0] : names.free(`${node.outputs[0]}/${i}`);
      const add = {
        ...node,
        opType: 'Add',
        name: `${node.name}/${i}`,
        inputs: [sum, term],
        outputs: [output],
      };
      sum = output;
      return add;
    });
  });
  return { ...graph, nodes };
}

/** LogSoftmax as the sum that it is, of scores that were moved so that the largest is 0. */
function withoutLogs(graph: Graph): Graph {
  if (!graph.nodes.some(({ opType }) => opType === 'LogSoftmax')) return graph;
  const b = new Builder(graph);
  for (const node of graph.nodes) {
    if (node.opType !== 'LogSoftmax' || node.domain !== '') {
      b.keep(node);
      continue;
    }
    b.at(node.outputs[0]);
    const axes = b.ints([intAttribute(node, 'axis', -1)]);
    const moved = b.sub(node.inputs[0], b.op('ReduceMax', [node.inputs[0], axes], { keepdims: 1 }));
    const sum = b.op('ReduceSum', [b.op('Exp', [moved]), axes], { keepdims: 1 });
    b.keep({ ...node, opType: 'Sub', inputs: [moved, b.op('Log', [sum])], attributes: new Map() });
  }
  return subgraph(rewritten(graph, b), graph.inputs, graph.outputs);
}

/**
 * What is repeated for each picture of a batch, without the arithmetic of sizes that tells how often: its numbers as rows go by the size
 * of a batch along the columns, which is turned.
 */
function withoutRepeats(graph: Graph): Graph {
  const b = new Builder(graph);
  let isChanged = false;
  for (const node of graph.nodes) {
    const found = node.opType === 'Expand' && node.domain === '' ? repeatOf(graph, node) : undefined;
    if (!found) {
      b.keep(node);
      continue;
    }
    const [output] = node.outputs;
    const size = b.op('Shape', [found.counts.name], { start: found.counts.axis, end: found.counts.axis + 1 });
    const rows = b.op('Reshape', [node.inputs[0], b.ints([-1, 1])]);
    const turned = b.op('Transpose', [b.op('Expand', [rows, size])], { perm: [1, 0] });
    b.keep({
      ...node,
      opType: 'Reshape',
      inputs: [turned, b.ints([-1, ...found.dims])],
      outputs: [output],
    });
    isChanged = true;
  }
  return isChanged ? subgraph(rewritten(graph, b), graph.inputs, graph.outputs) : graph;
}

/** Of an Expand of [1, …] to [N, …] with the same sizes behind: these, and an input that has N along an axis. */
function repeatOf(graph: Graph, { inputs, outputs }: Node) {
  const from = graph.constants.get(inputs[0])?.dims ?? valueInfo(graph, inputs[0]).dims;
  const [N, ...dims] = valueInfo(graph, outputs[0]).dims ?? [];
  const isRepeat = typeof N === 'string' && N !== '' && from?.[0] === 1 && from.length === dims.length + 1;
  if (!isRepeat || !dims.every((dim, i) => typeof dim === 'number' && dim === from[i + 1])) return undefined;
  for (const { name, dims: own = [] } of graph.inputs) {
    const axis = own.indexOf(N);
    if (axis >= 0) return { dims: dims as number[], counts: { name, axis } };
  }
  return undefined;
}
