/**
 * What a method may look at: one target of every picture of a batch, at one layer. Only what the method `needs` is there;
 * asking for anything else is a fault. Arrays are row-major and must not be written. N pictures, K channels.
 */
export interface Evidence {
  /** N. */
  readonly images: number;
  /** What pictures are called, for random streams; their numbers where they have no name. */
  readonly names: readonly string[];
  /** The preprocessed pictures, [N, …inputDims]. */
  readonly input: Float32Array;
  /** Dims of one picture's input, with channels. */
  readonly inputDims: readonly number[];
  /** Which of them are the channels; −1: there are none. */
  readonly channelAxis: number;
  /** Spatial dims of the input: those of a map. */
  readonly size: readonly number[];
  /** Needs 'activations': A, [N, K, …dims]. */
  readonly layer: LayerValues;
  /** The target's value for every picture, [N]. */
  readonly values: Float64Array;
  /** Needs 'gradients': ∂S/∂A of the pictures, or of changed ones [N, …inputDims], [N, K, …layer]. */
  gradients(changed?: Float32Array): Promise<Float32Array>;
  /** Needs 'input gradients': ∂S/∂x of the pictures, or of changed ones, [N, …inputDims]. */
  inputGradients(changed?: Float32Array): Promise<Float32Array>;
  /** Needs 'guided gradients': [N, …inputDims]. */
  guidedGradients(): Promise<Float32Array>;
  /**
   * Needs 'passes': the target's value for changed pictures, at least two at once. They are changed alike for every target: those
   * of one picture share the passes.
   *
   * @param as 'probability': that of the target, or its share in 0…1, where it has one; default 'value'
   */
  pass(changes: readonly Change[], as?: 'value' | 'probability'): Promise<void>;
  /** Needs 'passes': the same for pictures under masks, which are enlarged where the network runs if that is faster. */
  maskedPass(masks: readonly MaskChange[], of: Enlargement, as?: 'value' | 'probability'): Promise<void>;
  /** Needs 'head passes': the same for changed activations of the layer, [K, …dims] each. */
  headPass(changes: readonly Change[]): Promise<void>;
  /**
   * Needs 'head passes': ∂S/∂A where it is the same for all activations, since the head and the target are affine; then
   * S(A) − S(B) = ⟨∂S/∂A, A − B⟩, and no pass is needed. Else undefined.
   */
  constantGradient(): Promise<Float32Array | undefined>;
  /** Announces so many gradients of changed pictures, for the display of progress; passes announce themselves. */
  expect(gradients: number): void;
  /**
   * Needs 'second derivatives': of T = log softmax(S)_c (log sigmoid, or the target itself, where the scores are no classes),
   * ∂T/∂A and H A with the Hessian H = ∂²T/∂A², [N, K, …layer] each.
   *
   * @param of 'value': T is the target itself; default 'log-probability'
   */
  secondDerivatives(
    of?: 'log-probability' | 'value',
  ): Promise<{ readonly gradients: Float32Array; readonly product: Float32Array }>;
  /** Needs 'attention' or 'attention gradients'. */
  attention(): AttentionValues;
  /** Needs 'attention gradients': ∂S/∂P of each block, [N, heads, T, T]. */
  attentionGradients(): Promise<readonly Float32Array[]>;
  /** Noise that depends on the seed, the picture's name and the purpose alone. */
  random(seed: number, image: number, purpose: string): RandomNumbers;
}

/** A changed picture, or changed activations of one. */
export interface Change {
  /** The picture, 0 … N − 1, whose target is asked for. */
  readonly of: number;
  /** Writes every element of what goes through the network; called just before, in the order of the changes. */
  readonly fill: (out: Float32Array) => void;
  /** What the target came to; in the same order. */
  readonly take: (value: number) => void;
}

/** A picture multiplied by a mask, the same for every channel. */
export interface MaskChange {
  readonly of: number;
  /** The mask before it is enlarged; called just before, in the order of the changes. */
  readonly mask: () => Mask;
  readonly take: (value: number) => void;
}

export interface Mask {
  readonly cells: ArrayLike<number>;
  /** Where the picture begins in what the cells are enlarged to; default 0. */
  readonly offsets?: readonly number[];
}

/** How masks become as large as pictures: linearly, from the dims of their cells to others, of which the picture is a part. */
export interface Enlargement {
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** Spatial dims of the picture, or the last of them. */
  readonly size: readonly number[];
  /** Whether each is brought into 0…1 by its least and largest value in the picture; a constant becomes 0. */
  readonly isNormalized: boolean;
}

export interface LayerValues {
  readonly activations: Float32Array;
  readonly channels: number;
  /** Dims of a channel: [w], [h, w] or [t, h, w]. */
  readonly dims: readonly number[];
}

/** Where the tokens of a plain transformer lie. */
export interface TokenPlaces {
  /** T. */
  readonly tokens: number;
  /** Whether token 0 is the class token. */
  readonly hasClassToken: boolean;
  /** Dims of the grid of patches, and the token of each of its cells. */
  readonly grid: readonly number[];
  readonly cells: Int32Array;
}

/** The self-attention of a plain transformer, block by block. */
export interface AttentionValues extends TokenPlaces {
  /** What the blocks' attention is called in the model. */
  readonly names: readonly string[];
  /** P = softmax(Q Kᵀ …) of each, [N, heads, T, T]: rows are queries. */
  readonly blocks: readonly Float32Array[];
}

export interface RandomNumbers {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Normal, mean 0 and variance 1. */
  normal(): number;
}
