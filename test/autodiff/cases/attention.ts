import { type Case, flags, real, type Variant, weight, whole } from '../case.js';

const float = (value: number) => ({ float: value });
const rank4 = [real([2, 2, 3, 4]), real([2, 2, 5, 4]), real([2, 2, 5, 3])];
const rank3 = [real([2, 3, 8]), real([2, 5, 8]), real([2, 5, 6])];
const heads3 = { q_num_heads: 2, kv_num_heads: 2 };
/** Heads and widths are fixed; batch and lengths are not. */
const lengths: readonly Variant[] = ['batch'];

type Setting = Omit<Case, 'op'>;

const attentions: readonly Setting[] = [
  { name: 'rank 4', inputs: rank4, order: 3 },
  { name: 'rank 3', inputs: rank3, attributes: heads3 },
  { name: 'scale and soft cap', inputs: rank4, attributes: { scale: float(0.9), softcap: float(1.7) } },
  { name: 'causal', inputs: rank4, attributes: { is_causal: 1 } },
  { name: 'float mask', inputs: [...rank4, real([3, 5])] },
  { name: 'float mask a head', inputs: [...rank4, real([2, 3, 5])] },
  { name: 'float mask, broadcast', inputs: [...rank4, real([2, 1, 3, 5])] },
  {
    name: 'bool mask',
    inputs: [
      ...rank4,
      flags([1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1], [3, 5], { constant: false, fixed: true }),
    ],
  },
  { name: 'more query heads', inputs: [real([2, 4, 3, 4]), rank4[1], rank4[2]] },
  {
    name: 'more query heads, rank 3',
    inputs: [real([2, 3, 16]), rank3[1], rank3[2]],
    attributes: { q_num_heads: 4, kv_num_heads: 2 },
  },
  {
    name: 'past keys and values',
    inputs: [...rank4, undefined, real([2, 2, 2, 4]), real([2, 2, 2, 3])],
    outputs: 3,
  },
  {
    name: 'past, causal, more query heads, mask',
    inputs: [real([2, 4, 3, 4]), rank4[1], rank4[2], real([3, 7]), real([2, 2, 2, 4]), real([2, 2, 2, 3])],
    attributes: { is_causal: 1, softcap: float(2) },
    outputs: 3,
    seeded: [0],
  },
  {
    name: 'keys that are padding',
    inputs: [...rank4, undefined, undefined, undefined, whole([3, 5], [2], { fixed: true })],
    opsets: [24, 26],
  },
  ...[0, 1, 2, 3].map((mode): Setting => {
    const attributes = { qk_matmul_output_mode: mode, softcap: float(1.5) };
    const inputs = ['x0', 'x1', 'x2', 'x3'];
    const nodes = [{ op: 'Attention', inputs, outputs: ['y0', '', '', 'y1'], attributes }];
    return { name: `scores too, mode ${mode}`, inputs: [...rank4, real([3, 5])], nodes, outputs: 2 };
  }),
];

export const attention = attentions.map(
  (item): Case => ({ op: 'Attention', type: 'float', dynamic: lengths, ...item }),
);

const angles = { low: -1, high: 1 };

const rotations: readonly Setting[] = [
  {
    name: 'position ids',
    inputs: [
      real([2, 2, 3, 4]),
      weight([6, 2], angles),
      weight([6, 2], angles),
      whole([0, 2, 2, 5, 1, 0], [2, 3]),
    ],
  },
  {
    name: 'interleaved',
    inputs: [
      real([2, 2, 3, 4]),
      weight([6, 2], angles),
      weight([6, 2], angles),
      whole([0, 2, 2, 5, 1, 0], [2, 3]),
    ],
    attributes: { interleaved: 1 },
  },
  {
    name: 'no position ids, rank 3',
    inputs: [real([2, 3, 8]), real([2, 3, 2], angles), real([2, 3, 2], angles)],
    attributes: { num_heads: 2 },
  },
  {
    name: 'part of the width',
    inputs: [
      real([2, 2, 3, 6]),
      weight([6, 2], angles),
      weight([6, 2], angles),
      whole([0, 2, 2, 5, 1, 0], [2, 3]),
    ],
    attributes: { rotary_embedding_dim: 4, num_heads: 2 },
  },
  {
    name: 'stored caches',
    inputs: [
      real([2, 2, 3, 4]),
      weight([6, 2], { ...angles, constant: true, wrt: false }),
      weight([6, 2], { ...angles, constant: true, wrt: false }),
      whole([0, 2, 2, 5, 1, 0], [2, 3]),
    ],
  },
];

export const rotary = rotations.map(
  (item): Case => ({ op: 'RotaryEmbedding', type: 'float', dynamic: lengths, ...item }),
);
