import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { classifier, type ShortGraph, type ShortNode, weights } from './network.js';

/**
 * The small classifier, whose relu2 [N, 6, 4, 4] is laid out otherwise, in `layer`, and back again before the head. Other
 * tokens take part in nothing.
 */
function detour(
  nodes: readonly ShortNode[],
  constants: ShortGraph['constants'] = {},
  batch?: number,
): ShortGraph {
  const base = classifier({ head: 'dense', batch });
  const [first, ...rest] = base.nodes.slice(4);
  return {
    ...base,
    nodes: [...base.nodes.slice(0, 4), ...nodes, [first[0], ['again'], first[2], first[3]], ...rest],
    constants: { ...base.constants, ...constants },
  };
}

const tokensFirst = (to: string): ShortNode[] => [
  ['Reshape', ['relu2', 'flatDims'], ['flattened']],
  ['Transpose', ['flattened'], [to], { perm: [0, 2, 1] }],
];
const tokensBack = (from: string): ShortNode[] => [
  ['Transpose', [from], ['turned'], { perm: [0, 2, 1] }],
  ['Reshape', ['turned', 'dims'], ['again']],
];
const common = {
  flatDims: int64Constant([0, 6, 16]),
  dims: int64Constant([0, 6, 4, 4]),
  one: floatConstant([1], []),
};

/** Ways to lay out a picture [N, 6, 4, 4]; all give the scores of the classifier. */
export const detours: Readonly<Record<string, ShortGraph>> = {
  'tokens [N, T, C]': detour(
    [...tokensFirst('patches'), ['Mul', ['patches', 'one'], ['layer']], ...tokensBack('layer')],
    common,
  ),
  'tokens [N, C, T]': detour(
    [
      ['Reshape', ['relu2', 'flatDims'], ['flattened']],
      ['Mul', ['flattened', 'one'], ['layer']],
      ['Reshape', ['layer', 'dims'], ['again']],
    ],
    common,
  ),
  'tokens first, [T, N, C]': detour(
    [
      ['Reshape', ['relu2', 'flatDims'], ['flattened']],
      ['Transpose', ['flattened'], ['patches'], { perm: [2, 0, 1] }],
      ['Mul', ['patches', 'one'], ['layer']],
      ['Transpose', ['layer'], ['turned'], { perm: [1, 2, 0] }],
      ['Reshape', ['turned', 'dims'], ['again']],
    ],
    common,
  ),
  'class token and registers': detour(
    [
      ...tokensFirst('patches'),
      ['Concat', ['before', 'patches', 'behind'], ['all'], { axis: 1 }],
      ['Mul', ['all', 'one'], ['layer']],
      ['Slice', ['layer', 'from', 'to', 'axis'], ['own']],
      ...tokensBack('own'),
    ],
    {
      ...common,
      before: weights(8, [1, 2, 6], 2),
      behind: weights(9, [1, 3, 6], 2),
      from: int64Constant([2]),
      to: int64Constant([18]),
      axis: int64Constant([1]),
    },
    1,
  ),
  'channels last': detour(
    [
      ['Transpose', ['relu2'], ['last'], { perm: [0, 2, 3, 1] }],
      ['Mul', ['last', 'one'], ['layer']],
      ['Transpose', ['layer'], ['again'], { perm: [0, 3, 1, 2] }],
    ],
    common,
  ),
  'places in an order of their own': detour(
    [
      ['Reshape', ['relu2', 'cut'], ['cut_up']],
      ['Transpose', ['cut_up'], ['moved'], { perm: [0, 2, 4, 3, 5, 1] }],
      ['Reshape', ['moved', 'tokens'], ['patches']],
      ['Mul', ['patches', 'one'], ['layer']],
      ['Reshape', ['layer', 'uncut'], ['apart']],
      ['Transpose', ['apart'], ['back'], { perm: [0, 5, 1, 3, 2, 4] }],
      ['Reshape', ['back', 'dims'], ['again']],
    ],
    {
      ...common,
      cut: int64Constant([0, 6, 2, 2, 2, 2]),
      tokens: int64Constant([0, 16, 6]),
      uncut: int64Constant([0, 2, 2, 2, 2, 6]),
    },
  ),
};
