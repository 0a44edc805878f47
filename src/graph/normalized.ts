import type { Backward } from './backward.js';
import { is } from './facts.js';
import type { Node } from './graph.js';

/** Whether a normalisation over the channels of every place gives a value: it holds features, and no scores. */
export function isNormalized(back: Backward, name: string): boolean {
  let node = back.node(name);
  while (node && (is(node, 'onlyDims') || is(node, 'passThrough') || node.opType === 'Transpose'))
    node = back.node(node.inputs[0]);
  if (node && (node.opType === 'Add' || node.opType === 'Mul')) return isWrittenOut(back, node);
  return node !== undefined && ['LayerNormalization', 'RMSNormalization'].includes(node.opType);
}

/** (x − mean) / √(variance + ε) · scale + shift, as exporters before opset 17 write it; the root is over a mean. */
function isWrittenOut(back: Backward, end: Node): boolean {
  const steps = end.opType === 'Add' ? ['Add', 'Mul'] : ['Mul'];
  let node: Node | undefined = end;
  for (const opType of steps) {
    if (node?.opType !== opType) return false;
    const values: readonly string[] = node.inputs.filter((input) => !back.graph.constants.has(input));
    node = values.length === 1 ? back.node(values[0]) : undefined;
  }
  if (node?.opType !== 'Div') return false;
  const root = back.node(node.inputs[1], 'Sqrt');
  const sum = root && back.node(root.inputs[0], 'Add');
  return sum?.inputs.some((input) => back.node(input, 'ReduceMean') !== undefined) ?? false;
}
