import { didYouMean } from '../check.js';
import { GradcamppError } from '../errors.js';
import { label, type Node } from '../graph/graph.js';
import type { Rule } from './rule.js';
import * as activation from './rules/activation.js';
import * as attention from './rules/attention.js';
import * as conv from './rules/conv.js';
import * as einsum from './rules/einsum.js';
import * as elementwise from './rules/elementwise.js';
import * as index from './rules/indexing.js';
import * as linear from './rules/linear.js';
import * as loss from './rules/loss.js';
import * as norm from './rules/norm.js';
import * as pool from './rules/pool.js';
import * as quantize from './rules/quantize.js';
import * as recurrent from './rules/recurrent.js';
import * as reduce from './rules/reduce.js';
import * as resize from './rules/resizing.js';
import * as sampling from './rules/grid-sampling.js';
import * as shape from './rules/shape.js';
import * as slice from './rules/slice.js';
import * as spectral from './rules/spectral.js';

/** The oldest and newest operator sets that models may use: the newest is what ONNX Runtime 1.30 loads. */
export const oldestOpset = 7;
export const newestOpset = 26;

/** What happens to a gradient that arrives at an operator. */
export type Row = {
  /** First and last operator set that has the operator, within those that are read. */
  readonly since: number;
  readonly until: number;
} & (
  | {
      readonly outcome: 'rule';
      readonly rule: Rule;
      readonly note: string;
      /** Float inputs, by their ONNX names, that get no gradient on purpose. */
      readonly still: readonly string[];
    }
  /** Read as other operators before anything is differentiated; `as` names them. */
  | { readonly outcome: 'rewritten'; readonly as: string }
  /** No gradient flows, on purpose. */
  | { readonly outcome: 'stop'; readonly reason: string }
  /** No rule: differentiating it is an error that says why. */
  | { readonly outcome: 'none'; readonly reason: string }
);

const by = (rule: Rule, since = oldestOpset, note = '', still: readonly string[] = []): Row => ({
  outcome: 'rule',
  rule,
  since,
  until: newestOpset,
  note,
  still,
});
const as = (name: string, since = oldestOpset, until = newestOpset): Row => ({
  outcome: 'rewritten',
  as: name,
  since,
  until,
});
const stop = (reason: string, since = oldestOpset): Row => ({
  outcome: 'stop',
  reason,
  since,
  until: newestOpset,
});
const none = (reason: string, since = oldestOpset, until = newestOpset): Row => ({
  outcome: 'none',
  reason,
  since,
  until,
});

const steps = 'zero on purpose: piecewise constant';
const masks = 'zero on purpose: a mask';
const indices = 'zero on purpose: indices';
const sequences = 'sequences and optional values carry no gradient, only tensors do';
const bodies = 'it runs a graph of its own, a number of times that varies';
const draws = 'zero on purpose: random draws';
const integers =
  'it computes with whole numbers; explain the float model, or one quantised as QuantizeLinear and DequantizeLinear pairs';
const blocks =
  'its values are laid out in blocks for one kind of processor; explain the model as it was before ONNX Runtime optimised it';
/** ONNX Runtime's own operators that compute with whole numbers. */
const wholeNumbers = /^(Q[A-Z]|DynamicQuantize|MatMulInteger|ConvInteger)/;
const shapes = 'its output depends on the dims of its input, not on the values';

/**
 * The gradient of every operator, by name; one row each. Operators are read in their canonical form
 * (graph/canonical.ts), so a row covers all operator sets. `gradcampp ops` and docs/operators.md print it.
 */
export const table: Readonly<Record<string, Row>> = {
  // elementwise
  Abs: by(elementwise.abs),
  Acos: by(elementwise.acos),
  Acosh: by(elementwise.acosh, 9),
  Add: by(elementwise.add),
  Asin: by(elementwise.asin),
  Asinh: by(elementwise.asinh, 9),
  Atan: by(elementwise.atan),
  Atanh: by(elementwise.atanh, 9),
  Cos: by(elementwise.cos),
  Cosh: by(elementwise.cosh, 9),
  CumProd: by(elementwise.cumProd, 26),
  CumSum: by(elementwise.cumSum, 11),
  Div: by(elementwise.div),
  Erf: by(elementwise.erf, 9),
  Exp: by(elementwise.exp),
  Identity: by(elementwise.identity),
  Log: by(elementwise.log),
  Max: by(elementwise.extreme, 7, 'tied inputs share equally'),
  Mean: by(elementwise.mean),
  Min: by(elementwise.extreme, 7, 'tied inputs share equally'),
  Mod: by(elementwise.mod, 10, 'the whole quotient is constant'),
  Mul: by(elementwise.mul),
  Neg: by(elementwise.neg),
  Pow: by(elementwise.pow),
  Reciprocal: by(elementwise.reciprocal),
  Sin: by(elementwise.sin),
  Sinh: by(elementwise.sinh, 9),
  Sqrt: by(elementwise.sqrt),
  Sub: by(elementwise.sub),
  Sum: by(elementwise.sum),
  Tan: by(elementwise.tan),
  Tanh: by(elementwise.tanh),
  Where: by(elementwise.where, 9),
  // activations
  Celu: by(activation.celu, 12),
  Clip: by(activation.clip, 7, 'bounds not included'),
  Dropout: by(activation.dropout, 7, '', ['ratio']),
  Elu: by(activation.elu),
  Gelu: by(activation.gelu, 20),
  HardSigmoid: by(activation.hardSigmoid),
  HardSwish: by(activation.hardSwish, 14),
  LeakyRelu: by(activation.leakyRelu),
  LogSoftmax: by(activation.logSoftmax),
  Mish: by(activation.mish, 18),
  PRelu: by(activation.parametricRelu),
  Relu: by(activation.relu, 7, '0 at 0'),
  Selu: by(activation.selu),
  Shrink: by(activation.shrink, 9),
  Sigmoid: by(activation.sigmoid),
  Softmax: by(activation.softmax),
  Softplus: by(activation.softplus),
  Softsign: by(activation.softsign),
  Swish: as('Mul, Sigmoid', 24),
  ThresholdedRelu: by(activation.thresholdedRelu, 10),
  // linear algebra
  Attention: by(attention.attention, 23),
  Det: by(linear.det, 11),
  Einsum: by(einsum.einsum, 12),
  Gemm: by(linear.gemm),
  MatMul: by(linear.matMul),
  RotaryEmbedding: by(attention.rotaryEmbedding, 23),
  // convolution and pooling
  AveragePool: by(pool.averagePool),
  Col2Im: by(sampling.col2im, 18),
  Conv: by(conv.conv),
  ConvTranspose: by(conv.convTranspose),
  DeformConv: by(sampling.deformConv, 19),
  GlobalAveragePool: by(pool.globalAveragePool),
  GlobalLpPool: by(pool.globalLpPool),
  GlobalMaxPool: by(pool.globalMaxPool),
  LpPool: by(pool.lpPool),
  MaxPool: by(pool.maxPool, 7, 'the first of tied maxima gets the gradient'),
  MaxUnpool: by(pool.maxUnpool, 9),
  RoiAlign: by(pool.roiAlign, 10, 'mode avg, fixed height and width', ['rois']),
  // sampling
  AffineGrid: by(sampling.affineGrid, 20),
  GridSample: by(sampling.gridSample, 16),
  Resize: by(resize.resize, 10, '', ['roi', 'scales']),
  // signals
  DFT: by(spectral.dft, 17),
  STFT: by(spectral.stft, 17),
  // quantisation
  DequantizeLinear: by(quantize.dequantizeLinear, 10),
  QuantizeLinear: by(quantize.quantizeLinear, 10, 'straight through: as if it did not round'),
  // recurrent
  GRU: by(recurrent.gru, 7, 'twice only with a known number of steps, up to 256'),
  LSTM: by(recurrent.lstm, 7, 'twice only with a known number of steps, up to 256'),
  RNN: by(recurrent.rnn, 7, 'twice only with a known number of steps, up to 256'),
  // normalisation
  BatchNormalization: by(norm.batchNormalization),
  GroupNormalization: by(norm.groupNormalization, 18),
  InstanceNormalization: by(norm.instanceNormalization),
  LayerNormalization: by(norm.layerNormalization, 17),
  LpNormalization: by(norm.lpNormalization),
  LRN: by(norm.lrn),
  MeanVarianceNormalization: as('ReduceMean, Sub, Mul, Sqrt, Add, Div', 9),
  RMSNormalization: by(norm.rmsNormalization, 23),
  // reductions and losses
  NegativeLogLikelihoodLoss: by(loss.negativeLogLikelihood, 12),
  ReduceL1: by(reduce.reduceL1),
  ReduceL2: by(reduce.reduceL2),
  ReduceLogSum: by(reduce.reduceLogSum),
  ReduceLogSumExp: by(reduce.reduceLogSumExp),
  ReduceMax: by(reduce.reduceExtreme, 7, 'tied values share equally'),
  ReduceMean: by(reduce.reduceMean),
  ReduceMin: by(reduce.reduceExtreme, 7, 'tied values share equally'),
  ReduceProd: by(reduce.reduceProd),
  ReduceSum: by(reduce.reduceSum),
  ReduceSumSquare: by(reduce.reduceSumSquare),
  SoftmaxCrossEntropyLoss: by(loss.softmaxCrossEntropy, 12),
  // shapes and indices
  Cast: by(shape.cast),
  CastLike: by(shape.cast, 15, '', ['target_type']),
  CenterCropPad: by(shape.centerCropPad, 18),
  Compress: by(index.compress, 9),
  Concat: by(shape.concat),
  DepthToSpace: by(shape.depthToSpace),
  Expand: by(shape.expand, 8),
  Flatten: by(shape.reshaped),
  Gather: by(index.gather),
  GatherElements: by(index.gatherElements, 11),
  GatherND: by(index.gatherND, 11),
  OneHot: by(index.oneHot, 9, '', ['indices', 'depth']),
  Pad: by(shape.pad),
  Range: by(index.range, 11, '', ['limit']),
  Reshape: by(shape.reshaped),
  ReverseSequence: by(shape.reverseSequence, 10),
  Scatter: as('ScatterElements', 9, 10),
  ScatterElements: by(index.scatterElements, 11),
  ScatterND: by(index.scatterND, 11),
  Slice: by(slice.slice),
  SpaceToDepth: by(shape.spaceToDepth),
  Split: by(shape.split),
  Squeeze: by(shape.reshaped),
  TensorScatter: by(index.tensorScatter, 24),
  Tile: by(shape.tile),
  TopK: by(index.topK),
  Transpose: by(shape.transpose),
  Trilu: by(shape.trilu, 14),
  Unsqueeze: by(shape.reshaped),
  Upsample: as('Resize', 7, 9),
  // no gradient, on purpose
  ArgMax: stop(indices),
  ArgMin: stop(indices),
  Bernoulli: stop(draws, 15),
  Ceil: stop(steps),
  ConstantOfShape: stop(shapes, 9),
  Equal: stop(masks),
  EyeLike: stop(shapes, 9),
  Floor: stop(steps),
  Greater: stop(masks),
  GreaterOrEqual: stop(masks, 12),
  Hardmax: stop(steps),
  IsInf: stop(masks, 10),
  IsNaN: stop(masks, 9),
  Less: stop(masks),
  LessOrEqual: stop(masks, 12),
  Multinomial: stop(draws),
  NonZero: stop(indices, 9),
  RandomNormalLike: stop(shapes),
  RandomUniformLike: stop(shapes),
  Round: stop(steps, 11),
  Shape: stop(shapes),
  Sign: stop(steps, 9),
  Size: stop(shapes),
  // no rule
  ConvInteger: none(integers, 10),
  DynamicQuantizeLinear: none(integers, 11),
  MatMulInteger: none(integers, 10),
  MaxRoiPool: none('which values won in its regions cannot be told from its output'),
  QLinearConv: none(integers, 10),
  QLinearMatMul: none(integers, 10),
  Unique: none('how many values it gives is only known when the model runs', 11),
  BitCast: none('it reads the bits of a number as another type', 26),
  ConcatFromSequence: none(sequences, 11),
  If: none('its condition is computed when the model runs; a constant one is read as its branch'),
  Loop: none(bodies),
  MelWeightMatrix: none('its steps lie where its inputs say, and their places have no gradient', 17),
  NonMaxSuppression: none('it selects boxes, and its output is indices of a number that varies', 10),
  Optional: none(sequences, 15),
  OptionalGetElement: none(sequences, 15),
  OptionalHasElement: none(sequences, 15),
  Scan: none(bodies, 8),
  SequenceAt: none(sequences, 11),
  SequenceConstruct: none(sequences, 11),
  SequenceErase: none(sequences, 11),
  SequenceInsert: none(sequences, 11),
  SequenceLength: none(sequences, 11),
  SequenceMap: none(sequences, 17),
  SplitToSequence: none(sequences, 11),
};

/** Whether the operator ends every gradient on purpose. */
export function stops(node: Node): boolean {
  return node.domain === '' && table[node.opType]?.outcome === 'stop';
}

const stopRule: Rule = ({ x }) => x.map(() => undefined);

/**
 * @throws GradcamppError UNSUPPORTED_MODEL naming operator, node, opset and the reason
 */
export function ruleOf(node: Node, opset: number): Rule {
  const row = node.domain === '' ? table[node.opType] : undefined;
  if (row?.outcome === 'rule') return row.rule;
  if (row?.outcome === 'stop') return stopRule;
  let why = '';
  if (row?.outcome === 'none') why = `: ${row.reason}`;
  else if (row?.outcome === 'rewritten') why = `: it is read as ${row.as}, but not in this form`;
  else if (node.domain === 'com.microsoft.nchwc') why = `: ${blocks}`;
  else if (node.domain === 'com.microsoft' && wholeNumbers.test(node.opType)) why = `: ${integers}`;
  const hint = row || node.domain !== '' ? '' : didYouMean(node.opType, Object.keys(table));
  const fact = `${label(node)} (opset ${opset}) has no gradient rule${why}.`;
  throw new GradcamppError('UNSUPPORTED_MODEL', hint ? `${fact} ${hint}` : fact);
}
