import { type Case, real, whole } from '../case.js';

const stored = { constant: true, wrt: false } as const;
const scale = (...values: number[]) =>
  real(values.length === 1 ? [] : [values.length], { values, ...stored });

/** Quantised and back: not the derivative, which is 0 almost everywhere, but that of the identity within the range. */
export const quantize: readonly Case[] = [
  {
    op: 'QuantizeLinear',
    name: 'and back, straight through within the range',
    type: 'float',
    inputs: [
      real([2, 2], { values: [0.3, -1.2, 100, -100] }),
      real([], { values: [0.5], constant: true }),
      whole([3], [], { kind: 'int8' }),
    ],
    nodes: [
      { op: 'QuantizeLinear', inputs: ['x0', 'x1', 'x2'], outputs: ['q'] },
      { op: 'DequantizeLinear', inputs: ['q', 'x1', 'x2'], outputs: ['y0'] },
    ],
    byHand: [[1, 1, 0, 0], [-6.2]], // q − 3 is 1, −2, 124, −131; less 0.6 and −2.4, the unrounded ones within
    order: 1,
  },
  {
    op: 'QuantizeLinear',
    name: 'a scale a channel, moved while whole numbers',
    type: 'float',
    inputs: [
      real([1, 2, 3], { values: [0.3, -1.2, 70, -60, 2, 130] }),
      scale(0.5, 1),
      whole([0, 2], [2], { kind: 'int8' }),
    ],
    nodes: [
      { op: 'QuantizeLinear', inputs: ['x0', 'x1', 'x2'], outputs: ['q'], attributes: { axis: 1 } },
      { op: 'Transpose', inputs: ['q'], outputs: ['turned'], attributes: { perm: [0, 2, 1] } },
      { op: 'DequantizeLinear', inputs: ['turned', 'x1', 'x2'], outputs: ['y0'], attributes: { axis: 2 } },
    ],
    byHand: [[1, 1, 0, 1, 1, 0]],
    order: 1,
  },
  {
    op: 'DequantizeLinear',
    name: 'one scale',
    type: 'float',
    step: 0.25,
    inputs: [whole([3, -7, 100, 5], [2, 2], { kind: 'int8' }), real([]), whole([2], [], { kind: 'int8' })],
  },
  {
    op: 'DequantizeLinear',
    name: 'a scale a row',
    type: 'float',
    step: 0.25,
    inputs: [whole([3, -7, 100, 5], [2, 2], { kind: 'int8' }), real([2])],
    attributes: { axis: 0 },
  },
];
