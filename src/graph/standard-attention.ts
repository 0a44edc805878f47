import { DataType } from '../onnx/types.js';
import { floatAttribute, intAttribute } from './attributes.js';
import { Builder, type Name, rewritten } from './builder.js';
import { type Graph, type Node, valueInfo } from './graph.js';

/**
 * The standard's Attention (operator set 23) as the products and the softmax that it stands for, so that what it attends to is a
 * value of the graph. Nodes with a past, a cap, a causal mask or shared keys stay as they are, and the graph where there are no others.
 */
export function expandAttention(graph: Graph): Graph {
  if (!graph.nodes.some(isStandard)) return graph;
  const b = new Builder(graph);
  let changed = false;
  for (const node of graph.nodes) {
    const parts = isStandard(node) ? operandsOf(node, graph) : undefined;
    if (parts) {
      b.at(node.outputs[0]);
      write(node, b, parts);
      changed = true;
    } else b.keep(node);
  }
  return changed ? rewritten(graph, b) : graph;
}

function isStandard({ opType, domain }: Node): boolean {
  return opType === 'Attention' && domain === '';
}

interface Operands {
  readonly rank: 3 | 4;
  readonly heads: number;
  readonly width: number;
  /** Of the mask, where there is one. */
  readonly maskType: DataType | undefined;
}

/** undefined where the node does more than attend, or dims are not known (yet). */
function operandsOf(node: Node, graph: Graph): Operands | undefined {
  const [query, key, , mask, ...past] = node.inputs;
  const [q, k] = [query, key].map((name) => valueInfo(graph, name).dims);
  const isMore =
    past.some(Boolean) ||
    node.outputs.slice(1).some(Boolean) ||
    intAttribute(node, 'is_causal', 0) !== 0 ||
    floatAttribute(node, 'softcap', 0) !== 0;
  if (isMore || !q || (q.length !== 3 && q.length !== 4) || k?.length !== q.length) return undefined;
  const isFlat = q.length === 3;
  const heads = isFlat ? intAttribute(node, 'q_num_heads') : q[1];
  const keyHeads = isFlat ? intAttribute(node, 'kv_num_heads') : k[1];
  const last = q[q.length - 1];
  if (typeof heads !== 'number' || heads !== keyHeads || typeof last !== 'number') return undefined;
  if (mask && valueInfo(graph, mask).dims?.at(-1) !== k[k.length - 2]) return undefined;
  const maskType = mask ? valueInfo(graph, mask).type : undefined;
  return { rank: isFlat ? 3 : 4, heads, width: isFlat ? last / heads : last, maskType };
}

function write(node: Node, b: Builder, { rank, heads, width, maskType }: Operands): void {
  const [q, k, v] = node.inputs.slice(0, 3).map((name) => (rank === 4 ? name : apart(b, name, heads)));
  const scale = floatAttribute(node, 'scale', 1 / Math.sqrt(width));
  const products = b.scale(b.op('MatMul', [q, b.transpose(k, [0, 1, 3, 2])]), scale);
  const probabilities = b.op('Softmax', [masked(b, products, node.inputs[3], maskType)], { axis: -1 });
  if (rank === 4) {
    b.op('MatMul', [probabilities, v], {}, node.outputs[0]);
    return;
  }
  const joined = b.transpose(b.op('MatMul', [probabilities, v]), [0, 2, 1, 3]);
  b.op('Reshape', [joined, b.ints([0, 0, -1])], {}, node.outputs[0]);
}

/** [N, T, heads · width] → [N, heads, T, width]. */
function apart(b: Builder, name: Name, heads: number): Name {
  return b.transpose(b.reshape(name, [0, 0, heads, -1]), [0, 2, 1, 3]);
}

function masked(b: Builder, products: Name, mask: Name | undefined, type: DataType | undefined): Name {
  if (!mask) return products;
  return type === DataType.BOOL ? b.where(mask, products, b.scalar(lowest)) : b.add(products, mask);
}

/** What stands for minus infinity. */
const lowest = -3.4028234663852886e38;
