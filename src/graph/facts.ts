import type { Node } from './graph.js';

/** What can be said of an operator whatever its attributes are. */
export type Fact =
  /** The dims of the result are those of the operands, broadcast. */
  | 'elementwise'
  /** Elementwise, of several operands that are broadcast to each other's dims. */
  | 'broadcasts'
  /** Inputs and outputs are laid out alike, though perhaps not of equal dims. */
  | 'keepsLayout'
  /** First input and output are [N, K, ...spatial]. */
  | 'spatial'
  /** Channel k of the result follows from channel k of the first input. */
  | 'channelwise'
  /** Takes many values together, as a rule with learned weights. */
  | 'weighs'
  /** Takes the values along some axes together: Reduce… */
  | 'reduces'
  /** The values of the first input again, in other dims. */
  | 'onlyDims'
  /** The values of the first input again, in other dims or of another type. */
  | 'passThrough'
  /** A nonlinearity that networks put behind their layers. */
  | 'activation'
  | 'nonNegative'
  /** Non-negative where all float inputs are. */
  | 'keepsSign'
  /** Every value lies between the least and the largest of the first input. */
  | 'keepsRange'
  /** Only thins out or moves what a better layer before it holds. */
  | 'derived'
  /** The bent function that the gate of an activation is made of: x · sigmoid(x). */
  | 'bends'
  /** Scales or shifts one tensor, where the other operands are single numbers. */
  | 'scales'
  /** Its slope can be infinite where its value is not. */
  | 'unboundedSlope'
  /** Puts whole numbers in the place of floats. */
  | 'quantizer'
  /** Works along one axis, which is an attribute. */
  | 'overAxis'
  /** Its value is drawn anew at every run. */
  | 'random'
  /** Runs a graph of its own. */
  | 'runsGraph'
  /** Its result is as large as a number says. */
  | 'growing';

/** One row an operator of the default domain. Of those that are not here nothing can be said (`withoutFacts`). */
export const facts: Readonly<Record<string, readonly Fact[]>> = {
  Abs: ['elementwise', 'activation', 'nonNegative'],
  Acos: ['elementwise', 'unboundedSlope'],
  Acosh: ['elementwise', 'unboundedSlope'],
  Add: ['elementwise', 'broadcasts', 'keepsSign', 'scales'],
  AffineGrid: ['growing'],
  And: ['elementwise', 'broadcasts'],
  Asin: ['elementwise', 'unboundedSlope'],
  Asinh: ['elementwise'],
  Atan: ['elementwise'],
  Atanh: ['elementwise', 'unboundedSlope'],
  Attention: ['weighs'],
  AveragePool: ['spatial', 'keepsSign', 'derived', 'channelwise', 'keepsRange'],
  BatchNormalization: ['spatial', 'channelwise'],
  Bernoulli: ['random'],
  BitShift: ['elementwise', 'broadcasts'],
  BitwiseAnd: ['elementwise', 'broadcasts'],
  BitwiseNot: ['elementwise'],
  BitwiseOr: ['elementwise', 'broadcasts'],
  BitwiseXor: ['elementwise', 'broadcasts'],
  BlackmanWindow: ['growing'],
  Cast: ['elementwise', 'passThrough', 'derived', 'scales', 'keepsRange'],
  CastLike: ['passThrough', 'derived', 'keepsRange'],
  Ceil: ['elementwise'],
  Celu: ['elementwise', 'activation'],
  CenterCropPad: ['growing'],
  Clip: ['elementwise', 'activation', 'bends'],
  Col2Im: ['growing'],
  Concat: ['keepsLayout', 'keepsSign'],
  ConstantOfShape: ['growing'],
  Conv: ['spatial', 'weighs'],
  ConvInteger: ['spatial', 'quantizer', 'weighs'],
  ConvTranspose: ['spatial', 'weighs'],
  Cos: ['elementwise'],
  Cosh: ['elementwise'],
  DFT: ['growing'],
  DeformConv: ['spatial', 'weighs'],
  DepthToSpace: ['spatial', 'derived'],
  DequantizeLinear: ['keepsLayout', 'channelwise', 'keepsRange'],
  Div: ['elementwise', 'broadcasts', 'scales'],
  Dropout: ['elementwise', 'passThrough', 'keepsSign', 'derived', 'keepsRange'],
  DynamicQuantizeLinear: ['quantizer'],
  Einsum: ['weighs'],
  Elu: ['elementwise', 'activation'],
  Equal: ['elementwise', 'broadcasts'],
  Erf: ['elementwise', 'activation', 'bends'],
  Exp: ['elementwise', 'activation', 'nonNegative', 'scales'],
  Expand: ['keepsSign', 'growing', 'keepsRange'],
  EyeLike: ['growing'],
  Flatten: ['onlyDims', 'passThrough', 'derived', 'keepsRange'],
  Floor: ['elementwise'],
  GRU: ['weighs'],
  Gather: ['keepsSign', 'keepsRange'],
  GatherElements: ['keepsRange'],
  GatherND: ['keepsRange'],
  Gelu: ['elementwise', 'activation'],
  Gemm: ['weighs'],
  GlobalAveragePool: ['spatial', 'keepsSign', 'derived', 'channelwise', 'keepsRange'],
  GlobalLpPool: ['spatial', 'channelwise'],
  GlobalMaxPool: ['spatial', 'keepsSign', 'derived', 'channelwise', 'keepsRange'],
  Greater: ['elementwise', 'broadcasts'],
  GreaterOrEqual: ['elementwise', 'broadcasts'],
  GridSample: ['spatial'],
  GroupNormalization: ['spatial'],
  HammingWindow: ['growing'],
  HannWindow: ['growing'],
  HardSigmoid: ['elementwise', 'activation', 'nonNegative', 'bends'],
  HardSwish: ['elementwise', 'activation'],
  Hardmax: ['overAxis'],
  Identity: ['elementwise', 'onlyDims', 'passThrough', 'keepsSign', 'derived', 'scales', 'keepsRange'],
  If: ['runsGraph'],
  InstanceNormalization: ['spatial', 'channelwise'],
  IsInf: ['elementwise'],
  IsNaN: ['elementwise'],
  LRN: ['spatial', 'keepsSign', 'derived'],
  LSTM: ['weighs'],
  LeakyRelu: ['elementwise', 'activation'],
  Less: ['elementwise', 'broadcasts'],
  LessOrEqual: ['elementwise', 'broadcasts'],
  Log: ['elementwise', 'unboundedSlope'],
  LogSoftmax: ['overAxis'],
  Loop: ['runsGraph'],
  LpPool: ['spatial', 'derived', 'channelwise'],
  MatMul: ['weighs'],
  MatMulInteger: ['quantizer', 'weighs'],
  Max: ['elementwise', 'broadcasts'],
  MaxPool: ['spatial', 'keepsSign', 'derived', 'channelwise', 'keepsRange'],
  MaxUnpool: ['spatial', 'growing'],
  Mean: ['elementwise', 'broadcasts', 'keepsSign'],
  MelWeightMatrix: ['growing'],
  Min: ['elementwise', 'broadcasts'],
  Mish: ['elementwise', 'activation'],
  Mod: ['elementwise', 'broadcasts'],
  Mul: ['elementwise', 'broadcasts', 'keepsSign', 'scales'],
  Multinomial: ['random'],
  Neg: ['elementwise', 'scales'],
  Not: ['elementwise'],
  OneHot: ['growing'],
  Or: ['elementwise', 'broadcasts'],
  PRelu: ['elementwise', 'activation'],
  Pad: ['derived', 'growing', 'channelwise'],
  Pow: ['elementwise', 'broadcasts', 'scales'],
  QLinearConv: ['spatial', 'quantizer', 'weighs'],
  QLinearMatMul: ['quantizer', 'weighs'],
  QuantizeLinear: ['keepsLayout', 'quantizer', 'channelwise', 'keepsRange'],
  RNN: ['weighs'],
  RandomNormal: ['random'],
  RandomNormalLike: ['random'],
  RandomUniform: ['random'],
  RandomUniformLike: ['random'],
  Range: ['growing'],
  Reciprocal: ['elementwise', 'scales', 'unboundedSlope'],
  ReduceL1: ['reduces'],
  ReduceL2: ['reduces'],
  ReduceLogSum: ['unboundedSlope', 'reduces'],
  ReduceLogSumExp: ['reduces'],
  ReduceMax: ['keepsSign', 'derived', 'reduces', 'keepsRange'],
  ReduceMean: ['keepsSign', 'derived', 'reduces', 'keepsRange'],
  ReduceMin: ['reduces', 'keepsRange'],
  ReduceProd: ['reduces'],
  ReduceSum: ['keepsSign', 'reduces'],
  ReduceSumSquare: ['reduces'],
  Relu: ['elementwise', 'activation', 'nonNegative', 'bends'],
  Reshape: ['onlyDims', 'passThrough', 'keepsSign', 'derived', 'keepsRange'],
  Resize: ['spatial', 'derived', 'growing', 'channelwise'],
  Round: ['elementwise'],
  Scan: ['runsGraph'],
  Selu: ['elementwise', 'activation'],
  SequenceMap: ['runsGraph'],
  Shrink: ['elementwise'],
  Sigmoid: ['elementwise', 'activation', 'nonNegative', 'bends'],
  Sign: ['elementwise'],
  Sin: ['elementwise'],
  Sinh: ['elementwise'],
  Slice: ['keepsSign', 'derived', 'keepsRange'],
  Softmax: ['nonNegative', 'overAxis'],
  Softplus: ['elementwise', 'activation', 'nonNegative', 'bends'],
  Softsign: ['elementwise', 'activation'],
  SpaceToDepth: ['spatial', 'derived'],
  Split: ['keepsLayout', 'keepsSign', 'derived', 'keepsRange'],
  Sqrt: ['elementwise', 'unboundedSlope'],
  Squeeze: ['onlyDims', 'passThrough', 'keepsSign', 'derived', 'keepsRange'],
  Sub: ['elementwise', 'broadcasts', 'scales'],
  Sum: ['elementwise', 'broadcasts', 'keepsSign'],
  Swish: ['elementwise', 'activation'],
  Tan: ['elementwise'],
  Tanh: ['elementwise', 'activation', 'bends'],
  ThresholdedRelu: ['elementwise', 'activation', 'nonNegative'],
  Tile: ['growing', 'keepsRange'],
  TopK: ['keepsRange'],
  Transpose: ['keepsSign', 'keepsRange'],
  Unsqueeze: ['onlyDims', 'passThrough', 'keepsSign', 'derived', 'keepsRange'],
  Upsample: ['spatial', 'growing', 'channelwise'],
  Where: ['elementwise', 'broadcasts'],
  Xor: ['elementwise', 'broadcasts'],
};

/** The operators of the default domain of which none of these facts holds. */
export const withoutFacts: readonly string[] = [
  'ArgMax', 'ArgMin', 'BitCast', 'Compress', 'ConcatFromSequence', 'Constant', 'CumProd', 'CumSum',
  'Det', 'ImageDecoder', 'LayerNormalization',
  'LpNormalization', 'MaxRoiPool', 'MeanVarianceNormalization', 'NegativeLogLikelihoodLoss',
  'NonMaxSuppression', 'NonZero', 'Optional', 'OptionalGetElement', 'OptionalHasElement', 'RMSNormalization',
 
  'RegexFullMatch', 'ReverseSequence', 'RoiAlign', 'RotaryEmbedding', 'STFT', 'Scatter', 'ScatterElements',
  'ScatterND', 'SequenceAt', 'SequenceConstruct', 'SequenceEmpty', 'SequenceErase', 'SequenceInsert',
  'SequenceLength', 'Shape', 'Size', 'SoftmaxCrossEntropyLoss', 'SplitToSequence', 'StringConcat',
  'StringNormalizer', 'StringSplit', 'TensorScatter', 'TfIdfVectorizer', 'Trilu', 'Unique',
]; // biome-ignore format: a list

const sets = new Map(Object.entries(facts).map(([opType, list]) => [opType, new Set(list)]));

/** Whether a fact is known of a node's operator. */
export function is({ opType, domain }: Pick<Node, 'opType' | 'domain'>, fact: Fact): boolean {
  return domain === '' && (sets.get(opType)?.has(fact) ?? false);
}
