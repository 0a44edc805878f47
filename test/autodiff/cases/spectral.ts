import { type Case, real, whole } from '../case.js';

const scalar = (value: number) => whole([value], []);

export const spectral: readonly Case[] = [
  {
    op: 'DFT',
    name: 'real, axis as attribute',
    opsets: [18],
    inputs: [real([2, 6, 3, 1])],
    attributes: { axis: 2 },
  },
  { op: 'DFT', name: 'complex, axis as attribute by default', opsets: [18], inputs: [real([2, 5, 2])] },
  { op: 'DFT', name: 'real, by default', opsets: [20, 26], inputs: [real([2, 6, 1])] },
  {
    op: 'DFT',
    name: 'real, half the spectrum',
    opsets: [20, 26],
    inputs: [real([2, 5, 3, 1]), undefined, scalar(1)],
    attributes: { onesided: 1 },
  },
  {
    op: 'DFT',
    name: 'complex, inverse',
    opsets: [20, 26],
    inputs: [real([2, 6, 2])],
    attributes: { inverse: 1 },
  },
  {
    op: 'DFT',
    name: 'longer than the signal',
    opsets: [20, 26],
    inputs: [real([2, 5, 3, 2]), scalar(8), scalar(1)],
  },
  {
    op: 'DFT',
    name: 'shorter than the signal, half the spectrum',
    opsets: [20, 26],
    inputs: [real([2, 7, 1]), scalar(4), scalar(-2)],
    attributes: { onesided: 1 },
  },
  {
    op: 'STFT',
    name: 'window, overlapping',
    inputs: [real([2, 14, 1]), scalar(2), real([6])],
    opsets: [18, 26],
  },
  {
    op: 'STFT',
    name: 'whole spectrum, no window',
    inputs: [real([1, 12, 1]), scalar(3), undefined, scalar(4)],
    attributes: { onesided: 0 },
  },
];
