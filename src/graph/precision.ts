import { type Constant, floatConstant, floatsOf } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import type { Attribute, Graph, Node, ValueInfo } from './graph.js';

const isHalf = (type: number | undefined): boolean => type === DataType.FLOAT16 || type === DataType.BFLOAT16;

/** Attributes that name an element type. */
const typeAttributes = new Set([
  'to',
  'dtype',
  'output_dtype',
  'stash_type',
  'softmax_precision',
  'output_datatype',
]);

/**
 * The network in float32 where it computes in float16 or bfloat16: weights, inputs, casts. ONNX Runtime has few
 * half-precision kernels on the CPU, and gradients overflow them. Returns the same graph where there is none.
 */
export function toFloat32(graph: Graph): Graph {
  return usesHalf(graph) ? widened(graph) : graph;
}

function usesHalf(graph: Graph): boolean {
  return (
    [...graph.inputs, ...graph.outputs].some(({ type }) => isHalf(type)) ||
    [...graph.constants.values()].some(({ type }) => isHalf(type)) ||
    graph.nodes.some((node) =>
      [...node.attributes].some(([name, { kind, value }]) => {
        if (kind === 'graph') return usesHalf(value);
        if (kind === 'tensor') return isHalf(value.type);
        return kind === 'int' && typeAttributes.has(name) && isHalf(value);
      }),
    )
  );
}

function widened(graph: Graph): Graph {
  const constants = new Map<string, Constant>();
  for (const [name, constant] of graph.constants) constants.set(name, wide(constant));
  return {
    ...graph,
    inputs: graph.inputs.map(wideInfo),
    outputs: graph.outputs.map(wideInfo),
    values: new Map([...graph.values].map(([name, info]) => [name, wideInfo(info)])),
    constants,
    nodes: graph.nodes.map(wideNode),
  };
}

function wide(constant: Constant): Constant {
  return isHalf(constant.type) ? floatConstant(floatsOf(constant), constant.dims) : constant;
}

function wideInfo(info: ValueInfo): ValueInfo {
  return isHalf(info.type) ? { ...info, type: DataType.FLOAT } : info;
}

function wideNode(node: Node): Node {
  if (node.attributes.size === 0) return node;
  const attributes = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    const { kind, value } = attribute;
    if (kind === 'graph') attributes.set(name, { kind, value: widened(value) });
    else if (kind === 'tensor') attributes.set(name, { kind, value: wide(value) });
    else if (kind === 'int' && typeAttributes.has(name) && isHalf(value))
      attributes.set(name, { kind, value: DataType.FLOAT });
    else attributes.set(name, attribute);
  }
  return { ...node, attributes };
}
