import { type Constant, int64Constant } from '../../src/onnx/constant.js';
import type { ShortGraph, ShortNode } from './network.js';
import { weights } from './network.js';

export interface TransformerOptions {
  /** Tokens before the patches, which are learned; the first is what the scores are read of. 0: the mean of the patches. */
  readonly prefix?: number;
  /** Tokens behind them. */
  readonly suffix?: number;
  readonly blocks?: number;
  /** Whether one product makes queries, keys and values. */
  readonly isFused?: boolean;
}

const channels = 8;
const heads = 2;

/**
 * A small vision transformer on [N, 3, 8, 12]: patches of 4 × 4, so a grid of 2 × 3. Each block is named `b0`, `b1` …; its first
 * normalisation gives `b0/norm1`, its attention is `b0/attention`, its result `b0`. Scores `logits` [N, 5].
 */
export function transformer({
  prefix = 1,
  suffix = 0,
  blocks = 2,
  isFused = true,
}: TransformerOptions = {}): ShortGraph {
  const count = prefix + 6 + suffix;
  const constants: Record<string, Constant> = {
    patch: weights(1, [channels, 3, 4, 4]),
    flat: int64Constant([0, channels, 6]),
    scale: weights(2, [channels]),
    shift: weights(3, [channels], 0.1),
    head: weights(4, [channels, 5]),
    position: weights(5, [1, count, channels]),
    first: int64Constant([0], []),
    tokens: int64Constant([1], [1]),
    batch: int64Constant([0], [1]),
    end: int64Constant([1], [1]),
    before: weights(6, [1, prefix || 1, channels], 2),
    behind: weights(7, [1, suffix || 1, channels], 2),
    rest: int64Constant([prefix || 1, channels], [2]),
    restBehind: int64Constant([suffix || 1, channels], [2]),
    merged: int64Constant([0, count, channels]),
  };
  const nodes: ShortNode[] = [
    ['Conv', ['image', 'patch'], ['embedded'], { strides: [4, 4] }],
    ['Reshape', ['embedded', 'flat'], ['flattened']],
    ['Transpose', ['flattened'], ['patches'], { perm: [0, 2, 1] }],
    ['Shape', ['image'], ['shape']],
    ['Slice', ['shape', 'batch', 'end'], ['N']],
    ['Concat', ['N', 'rest'], ['beforeDims'], { axis: 0 }],
    ['Expand', ['before', 'beforeDims'], ['class']],
    ['Concat', ['N', 'restBehind'], ['behindDims'], { axis: 0 }],
    ['Expand', ['behind', 'behindDims'], ['objects']],
    [
      'Concat',
      [...(prefix > 0 ? ['class'] : []), 'patches', ...(suffix > 0 ? ['objects'] : [])],
      ['all'],
      { axis: 1 },
    ],
    ['Add', ['all', 'position'], ['x0']],
  ];
  let x = 'x0';
  for (let i = 0; i < blocks; i++) {
    const b = `b${i}`;
    nodes.push(...block(b, x, isFused));
    const widths = isFused ? { qkv: 3 * channels } : { q: channels, k: channels, v: channels };
    Object.entries(widths).forEach(([name, width], j) => {
      constants[`${b}/${name}/w`] = weights(10 * i + 20 + j, [channels, width], 2);
    });
    constants[`${b}/mlp/w`] = weights(10 * i + 27, [channels, channels]);
    x = b;
  }
  Object.assign(constants, {
    parts: int64Constant([0, count, 3, heads, channels / heads]),
    part: int64Constant([0, count, heads, channels / heads]),
    zero: int64Constant([0], []),
    one: int64Constant([1], []),
    two: int64Constant([2], []),
  });
  nodes.push(['LayerNormalization', [x, 'scale', 'shift'], ['norm'], { axis: -1 }]);
  nodes.push(
    prefix > 0
      ? ['Gather', ['norm', 'first'], ['row'], { axis: 1 }]
      : ['ReduceMean', ['norm', 'tokens'], ['row'], { keepdims: 0 }],
    ['MatMul', ['row', 'head'], ['logits']],
  );
  return { inputs: { image: ['N', 3, 8, 12] }, outputs: ['logits'], nodes, constants };
}

function block(b: string, x: string, isFused: boolean): ShortNode[] {
  const own = (name: string) => `${b}/${name}`;
  const fused: ShortNode[] = [
    ['MatMul', [own('norm1'), own('qkv/w')], [own('qkv')]],
    ['Reshape', [own('qkv'), 'parts'], [own('parts')]],
    ['Transpose', [own('parts')], [own('turned')], { perm: [2, 0, 3, 1, 4] }],
    ...(['zero', 'one', 'two'] as const).map(
      (index, i): ShortNode => ['Gather', [own('turned'), index], [own('qkv'[i])], { axis: 0 }],
    ),
  ];
  const apart = ['q', 'k', 'v'].flatMap((name): ShortNode[] => [
    ['MatMul', [own('norm1'), own(`${name}/w`)], [own(`${name}/flat`)]],
    ['Reshape', [own(`${name}/flat`), 'part'], [own(`${name}/part`)]],
    ['Transpose', [own(`${name}/part`)], [own(name)], { perm: [0, 2, 1, 3] }],
  ]);
  return [
    ['LayerNormalization', [x, 'scale', 'shift'], [own('norm1')], { axis: -1 }],
    ...(isFused ? fused : apart),
    ['Transpose', [own('k')], [own('keys')], { perm: [0, 1, 3, 2] }],
    ['MatMul', [own('q'), own('keys')], [own('products')]],
    ['Softmax', [own('products')], [own('attention')], { axis: -1 }],
    ['MatMul', [own('attention'), own('v')], [own('mixed')]],
    ['Transpose', [own('mixed')], [own('joined')], { perm: [0, 2, 1, 3] }],
    ['Reshape', [own('joined'), 'merged'], [own('attended')]],
    ['Add', [x, own('attended')], [own('middle')]],
    ['LayerNormalization', [own('middle'), 'scale', 'shift'], [own('norm2')], { axis: -1 }],
    ['MatMul', [own('norm2'), own('mlp/w')], [own('hidden')]],
    ['Tanh', [own('hidden')], [own('mlp')]],
    ['Add', [own('middle'), own('mlp')], [b]],
  ];
}
