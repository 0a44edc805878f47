import type { Rule } from '../autodiff/rule.js';
import { maxPoolByTaps } from '../autodiff/rules/pool-by-taps.js';
import { Names } from '../graph/builder.js';
import type { Graph, Node } from '../graph/graph.js';
import { firstProvider, type SessionOptions } from '../runtime/session.js';

/**
 * What is written otherwise for ONNX Runtime's WebGPU provider, so that nothing of a gradient falls to the CPU, with a copy there
 * and back: chosen here alone.
 */
export interface Formulation {
  /** Rules in place of the table's. */
  readonly rules: Readonly<Record<string, Rule>>;
  /** A graph as a session takes it. */
  readonly written: (graph: Graph) => Graph;
}

const onCpu: Formulation = { rules: {}, written: (graph) => graph };
const onGpu: Formulation = { rules: { MaxPool: maxPoolByTaps }, written: withoutSums };

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
