import type { Plain } from '../../../src/graph/attributes.js';
import { type Case, type Input, real, weight, whole } from '../case.js';

const [steps, batch, inputs, hidden] = [4, 3, 2, 2];

const strings = (...value: string[]): Plain => ({ kind: 'strings', value });
const floats = (...float: number[]): Plain => ({ float });

interface Setting {
  readonly op: 'RNN' | 'GRU' | 'LSTM';
  readonly name: string;
  readonly attributes?: Readonly<Record<string, Plain>>;
  /** Optional inputs; default: none. */
  readonly with?: readonly ('bias' | 'lengths' | 'state' | 'cell' | 'peepholes')[];
  readonly more?: Partial<Case>;
}

/** Far from what the gates receive in these cases: the bounds are kinks. */
const bounds = { RNN: 0.6, GRU: 0.4, LSTM: 0.5 };

const gates = { RNN: 1, GRU: 3, LSTM: 4 };

/** Small weights, so that no gate saturates. */
function recurrentCase({ op, name, attributes = {}, with: given = [], more = {} }: Setting): Case {
  const ways = attributes.direction === 'bidirectional' ? 2 : 1;
  const rows = gates[op] * hidden;
  const small = { low: -0.8, high: 0.8 };
  const optional = (kind: (typeof given)[number], input: Input) => (given.includes(kind) ? input : undefined);
  const list = [
    real([steps, batch, inputs]),
    weight([ways, rows, inputs], small),
    weight([ways, rows, hidden], small),
    optional('bias', weight([ways, 2 * rows], small)),
    optional('lengths', whole([3, 4, 1], [batch], { kind: 'int32' })),
    optional('state', weight([ways, batch, hidden], small)),
    optional('cell', weight([ways, batch, hidden], small)),
    optional('peepholes', weight([ways, 3 * hidden], small)),
  ];
  const count = list.findLastIndex((input) => input !== undefined) + 1;
  return {
    op,
    name,
    type: 'float',
    inputs: list.slice(0, count),
    attributes: { hidden_size: hidden, ...attributes },
    outputs: op === 'LSTM' ? 3 : 2,
    ...more,
  };
}

const all = {
  RNN: ['bias', 'state'],
  GRU: ['bias', 'state'],
  LSTM: ['bias', 'state', 'cell', 'peepholes'],
} as const;

const settings: Setting[] = (['RNN', 'GRU', 'LSTM'] as const).flatMap((op): Setting[] => [
  { op, name: 'weights alone' },
  { op, name: 'everything given', with: all[op] },
  { op, name: 'reverse', attributes: { direction: 'reverse' }, with: all[op] },
  { op, name: 'both directions', attributes: { direction: 'bidirectional' }, with: all[op] },
  { op, name: 'sequence lengths', with: [...all[op], 'lengths'] },
  {
    op,
    name: 'sequence lengths, both directions',
    attributes: { direction: 'bidirectional' },
    with: [...all[op], 'lengths'],
  },
  { op, name: 'all states alone', more: { seeded: [0] }, with: ['bias'] },
  { op, name: 'last state alone', more: { seeded: [1] }, with: ['bias'] },
  {
    op,
    name: 'clipped',
    attributes: { clip: { float: bounds[op] } },
    with: ['bias'],
    more: { step: op === 'LSTM' ? 2 ** -7 : 2 ** -9 },
  },
]);

export const recurrent: readonly Case[] = [
  ...settings,
  {
    op: 'GRU',
    name: 'reset before the product',
    attributes: { linear_before_reset: 1 },
    with: ['bias', 'state'],
  },
  {
    op: 'GRU',
    name: 'reset before the product, both directions, lengths',
    attributes: { linear_before_reset: 1, direction: 'bidirectional' },
    with: ['bias', 'state', 'lengths'],
  },
  { op: 'LSTM', name: 'without peepholes', with: ['bias', 'state', 'cell'] },
  { op: 'LSTM', name: 'last cell alone', with: ['bias', 'peepholes'], more: { seeded: [2] } },
  { op: 'LSTM', name: 'coupled gates', attributes: { input_forget: 1 }, with: ['bias', 'state', 'cell'] },
  {
    op: 'RNN',
    name: 'an activation per direction',
    attributes: {
      direction: 'bidirectional',
      activations: strings('Affine', 'ScaledTanh'),
      activation_alpha: floats(0.5, 1.5),
      activation_beta: floats(0.25, 0.5),
    },
    with: ['bias'],
  },
  {
    op: 'GRU',
    name: 'HardSigmoid and Softsign',
    attributes: {
      activations: strings('HardSigmoid', 'Softsign'),
      activation_alpha: floats(0.3),
      activation_beta: floats(0.45),
    },
    with: ['bias'],
    more: { step: 2 ** -8 },
  },
  {
    op: 'LSTM',
    name: 'Softplus, Elu and LeakyRelu',
    attributes: { activations: strings('Softplus', 'Elu', 'LeakyRelu'), activation_alpha: floats(0.7, 0.2) },
    with: ['bias'],
    more: { step: 2 ** -9 },
  },
  {
    op: 'RNN',
    name: 'Relu',
    attributes: { activations: strings('Relu') },
    with: ['bias'],
    more: { step: 2 ** -9 },
  },
  {
    op: 'RNN',
    name: 'ThresholdedRelu',
    attributes: { activations: strings('ThresholdedRelu'), activation_alpha: floats(0.3) },
    more: { step: 2 ** -9 },
  },
].map((setting) => recurrentCase(setting as Setting));
