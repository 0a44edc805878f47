import type { Builder, Name } from '../../graph/builder.js';
import type { SettingsOf, Stage } from '../../options.js';
import type { Evidence, TokenPlaces } from './evidence.js';

/** What a method can ask of the network. What runs the network does what is named here, and no more. */
export type Need =
  /** A, the output of the explained layer. */
  | 'activations'
  /** g = ∂S/∂A. */
  | 'gradients'
  /** Moments of the gradients of all classes under p = softmax(S). */
  | 'moments'
  /** ∂S/∂x, by the network's input; also of changed inputs. */
  | 'input gradients'
  /** The same, with guided backpropagation's rule for ReLU. */
  | 'guided gradients'
  /** Forward passes of changed pictures. */
  | 'passes'
  /** Passes of the head alone, on changed activations. */
  | 'head passes'
  /** The gradient of the target's log-probability at the layer, and its Hessian's product with the activations. */
  | 'second derivatives'
  /** The attention of every token to every token, of all blocks of a transformer. */
  | 'attention'
  /** The same, and ∂S/∂P of each. */
  | 'attention gradients';

/** What every method says of itself; the README's table, the command's help and the checks are made of it. */
interface Described<S extends Stage> {
  /** As users type it. */
  readonly name: string;
  /** Paper and equation. */
  readonly source: string;
  /** In one line; sums run over the positions i, j of one channel k unless they say otherwise. */
  readonly formula: string;
  readonly needs: readonly Need[];
  /** What it needs beside, with some settings. */
  readonly alsoNeeds?: (settings: SettingsOf<S>) => readonly Need[];
  /** Whether the answer depends on the target; false: it is the same for every class. */
  readonly hasTarget: boolean;
  /** Options of its own. */
  readonly options: S;
  /** Why a map of this target is empty, in a sentence, where the method itself makes it so. */
  readonly whyEmpty?: (target: ScoredTarget, settings: SettingsOf<S>) => string | undefined;
}

/** A target as a picture has it. */
export interface ScoredTarget {
  readonly score: number;
  readonly probability?: number;
}

/**
 * A class activation map that weighs each channel by one number, relu(Σ_k w_k A_k): `weight` is w_k. Backends compute
 * the sum, and may know the whole method (map/backend.ts).
 */
export interface ChannelMethod<S extends Stage = Stage> extends Described<S> {
  readonly kind: 'channel';
  readonly weight: (plane: Plane, settings: SettingsOf<S>) => number;
  /** The same as nodes: w as [N, K, 1, …]. Absent: the method cannot be exported. */
  readonly nodes?: (b: Builder, layer: LayerNodes, settings: SettingsOf<S>) => Name;
  /** Why the layer cannot be explained this way, or undefined. */
  readonly refuses?: (layer: {
    readonly isPooled: boolean;
    readonly isLinear: boolean;
  }) => string | undefined;
  /** ln of a factor of the raw map that is left out, such as e^S; default 0. */
  readonly logScale?: (target: ScoredTarget, settings: SettingsOf<S>) => number;
}

/** relu(Σ_k w_k ⊙ A_k), where the weight at a position follows from the gradient there. */
export interface PositionMethod<S extends Stage = Stage> extends Described<S> {
  readonly kind: 'position';
  readonly weight: (gradient: number) => number;
  /** The same as nodes, dims of the gradient. */
  readonly nodes?: (b: Builder, layer: LayerNodes) => Name;
}

/** Any other map of the explained layer's size. */
export interface LayerMethod<S extends Stage = Stage> extends Described<S> {
  readonly kind: 'layer';
  /** Whether `map` gives weights of channels, whose sum the map is; false: it gives the map itself. */
  readonly isSum: boolean;
  /** Of every picture of the batch, one target. */
  readonly map: (evidence: Evidence, settings: SettingsOf<S>) => Promise<LayerMap> | LayerMap;
  /** The same as nodes: the weights [N, K, 1, …], or the map before the ReLU, [N, 1, …spatial]. Absent: it cannot be exported. */
  readonly nodes?: (b: Builder, layer: LayerNodes, settings: SettingsOf<S>) => Name;
}

/** What a layer method comes to; [N, …] is the batch. `facts` are what is worth keeping of each picture. */
export type LayerMap = { readonly facts?: readonly Facts[] } /** relu(Σ_k w_k A_k), `weights` [N, K]. */ & (
  | { readonly by: 'channel'; readonly weights: Float32Array }
  /** relu(Σ_k w_k ⊙ A_k), `weights` [N, K, …layer]. */
  | { readonly by: 'position'; readonly weights: Float32Array }
  /** The map itself, [N, …dims]; relu is applied where it says so. */
  | {
      readonly by: 'map';
      readonly map: Float32Array | Float64Array;
      readonly dims: readonly number[];
      readonly relu: boolean;
      /** What it was made of, where that is not the explained layer. */
      readonly of?: readonly string[];
    }
);

/** Numbers that a method says of its own result, by name, such as a completeness error. */
export type Facts = Readonly<Record<string, number>>;

/** An attribution of every input element. */
export interface InputMethod<S extends Stage = Stage> extends Described<S> {
  readonly kind: 'input';
  /** Also a class activation map of this method, which the attribution is multiplied by. */
  readonly times?: string;
  readonly attribute: (evidence: Evidence, settings: SettingsOf<S>) => Promise<Attribution>;
  /** The same as nodes, from the gradient that it needs (guided or plain). Absent: the method cannot be exported. */
  readonly nodes?: (b: Builder, input: { readonly image: Name; readonly gradient: Name }) => Name;
  /** How the attribution's channels become one map. */
  readonly channels: 'sum of magnitudes' | 'largest magnitude' | 'sum';
  /** How the map is brought into 0…1: the whole range, or by its largest value. */
  readonly scaled: 'min-max' | 'maximum';
}

export interface Attribution {
  /** [N, …input], signed; for methods that give no value to a channel, [N, …size]. */
  readonly values: Float32Array;
  /** Of each picture. */
  readonly facts?: readonly Facts[];
}

export type AnyMethod<S extends Stage = Stage> =
  | ChannelMethod<S>
  | PositionMethod<S>
  | LayerMethod<S>
  | InputMethod<S>;

/** One channel of one picture. */
export interface Plane {
  /** A at `at` … `at + positions − 1`. */
  readonly activations: Float32Array;
  readonly at: number;
  readonly positions: number;
  /** g at `gradientAt + p · gradientStep`: step 0 where the gradient is the same at every position. */
  readonly gradients: Float32Array;
  readonly gradientAt: number;
  readonly gradientStep: 0 | 1;
  /** Softmax form only: moments at the same places as the gradient. */
  readonly moments?: Moments;
}

/** μ = Σ p_m g^m, V = Σ p_m (g^m − μ)², κ = Σ p_m (g^m − μ)³ at every position. */
export interface Moments {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly third: Float32Array;
}

/** A layer inside a graph: [N, K, …spatial], the gradient also [N, K, 1, …] where it is the same at every position. */
export interface LayerNodes {
  readonly activations: Name;
  readonly gradient: Name;
  /** K. */
  readonly channels: number;
  /** Axes of the positions. */
  readonly axes: readonly number[];
  /** The number of positions, or the value that holds it. */
  readonly positions: number | Name;
  /** First, second and third derivative of softmax(S)_c without the factor p_c; softmax form only. */
  readonly derivatives?: { readonly first: Name; readonly second: Name; readonly third: Name };
  /** ∂T/∂A and H A, T the target's log-probability; methods that need second derivatives only. */
  readonly secondDerivatives?: { readonly gradient: Name; readonly product: Name };
  /** Methods that need attention only. */
  readonly attention?: AttentionNodes;
}

/** The self-attention of a plain transformer inside a graph. */
export interface AttentionNodes extends TokenPlaces {
  /** The mean over the heads of every block, [N, T, T], in the order in which they run. */
  readonly blocks: readonly Name[];
}

/** Whether a method's map is a sum of weighted channels. */
export function hasChannels(method: AnyMethod): boolean {
  return method.kind === 'layer' ? method.isSum : method.kind !== 'input';
}

/** Keeps the types of a method's name and own options. */
export function channelMethod<const N extends string, const S extends Stage>(
  method: ChannelMethod<S> & { readonly name: N },
): ChannelMethod<S> & { readonly name: N } {
  return method;
}
export function positionMethod<const N extends string, const S extends Stage>(
  method: PositionMethod<S> & { readonly name: N },
): PositionMethod<S> & { readonly name: N } {
  return method;
}
export function layerMethod<const N extends string, const S extends Stage>(
  method: LayerMethod<S> & { readonly name: N },
): LayerMethod<S> & { readonly name: N } {
  return method;
}
export function inputMethod<const N extends string, const S extends Stage>(
  method: InputMethod<S> & { readonly name: N },
): InputMethod<S> & { readonly name: N } {
  return method;
}

/** The sum of a plane's activations. Four running sums, because one would wait for every addition. */
export function sumOfActivations({ activations, at, positions }: Plane): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const end = at + positions;
  let p = at;
  for (; p + 3 < end; p += 4) {
    s0 += activations[p];
    s1 += activations[p + 1];
    s2 += activations[p + 2];
    s3 += activations[p + 3];
  }
  for (; p < end; p++) s0 += activations[p];
  return s0 + s1 + (s2 + s3);
}

/** A denominator of exactly zero gives 0. */
export function ratio(numerator: number, denominator: number): number {
  return denominator === 0 ? 0 : numerator / denominator;
}

/** The same as nodes. */
export function ratioNodes(b: Builder, numerator: Name, denominator: Name): Name {
  const isZero = b.op('Equal', [denominator, b.scalar(0)]);
  return b.where(isZero, b.scalar(0), b.div(numerator, b.where(isZero, b.scalar(1), denominator)));
}

/** The sum over the positions of what is [N, K, …spatial] or the same at all of them, [N, K, 1, …]. */
export function sumNodes(b: Builder, value: Name, { axes, positions }: LayerNodes): Name {
  const mean = b.reduceMean(value, axes);
  return typeof positions === 'number' ? b.scale(mean, positions) : b.mul(mean, positions);
}
