import type { Method } from '../explain/explain-options.js';
import type { OnStep } from '../explain/progress.js';
import type { Pixels } from '../image/pixels.js';
import type { MethodOptions } from '../methods/index.js';
import type { Target } from '../targets/index.js';
import type { Geometry } from './annotations/region.js';
import type { ClipFrames } from '../clip/clip.js';
import type { PictureLayout } from './masking.js';

/** One of the compared ways to explain: a method with its settings, and a layer. */
export interface Variant extends MethodOptions {
  /** As tables and reports call it; unique in one evaluation. */
  readonly name: string;
  readonly method: Method;
  /** Default: the layer of the evaluation. */
  readonly layer?: string;
}

/** A picture, decoded and preprocessed once for everything that follows. */
export interface PreparedImage {
  /** The path as it was given: what results call the picture, and what its random streams are seeded with. */
  readonly image: string;
  /** What the network gets. */
  readonly tensor: Float32Array;
  /** What the network sees, as a picture, the frames of a clip side by side; made when it is asked for. */
  readonly view: () => Pixels;
  readonly geometry: Geometry;
  /** Of a clip: which frames of the video it holds. */
  readonly clip?: ClipFrames;
}

export interface ExplanationMap {
  /** Normalised, 0 … 1, at the size of the network's input; zeros where empty. */
  readonly data: Float32Array;
  readonly empty: boolean;
}

/** What was explained in a picture. */
export interface ExplainedTarget {
  /** As results call it: the class's name, or what else the target is. */
  readonly name: string;
  /** The class that it is of; −1 where it is of none. */
  readonly class: number;
  /** Asks for the same in another picture. */
  readonly again: Target;
  /** Its probability (softmax or sigmoid, never a score), or the share of 0 … 1 of a target that has none. */
  readonly confidence: number;
  /** The same in `count` changed pictures that lie one after the other. What was chosen in the picture stays chosen. */
  confidenceIn(tensors: Float32Array, count: number): Promise<ArrayLike<number>>;
}

/** Everything that one forward pass gave. */
export interface Explained {
  /** None where the picture shows nothing of what was asked for. */
  readonly targets: readonly ExplainedTarget[];
  /** One list a variant, in it one map a target. */
  readonly maps: readonly (readonly ExplanationMap[])[];
}

/**
 * The network under evaluation and its explanations, as narrow as the evaluations need it: three lines of
 * arithmetic are enough for a test. `openSubject` (`open.ts`) makes one from an `Explainer`.
 */
export interface Subject {
  readonly classes: readonly string[];
  /** WordNet ids of the classes, where they are known. */
  readonly wnids?: readonly (string | undefined)[];
  /** Whether it is clips that are evaluated. */
  readonly takesClips?: boolean;
  /** How one picture lies in a tensor. */
  readonly layout: PictureLayout;
  /** Dims of a map: the network input's [H, W], or [T, H, W]. */
  readonly size: readonly number[];
  /** Dims of the explained layer, as many as `size`: the grain of the random control. */
  readonly layer: readonly number[];
  /** The layers that a variant explains, where their channels are the classes. */
  readonly classMaps?: (variant: Variant) => readonly string[];
  /** A black pixel, preprocessed: one value a channel. */
  readonly black: readonly number[];
  /** What identifies it in results: model, hash, layer, backend, versions; in order. */
  readonly description: readonly (readonly [string, string])[];
  prepare(image: string): Promise<PreparedImage>;
  /**
   * Maps of all variants from one forward pass (one a layer, where they name several). `targets` are of one output; default:
   * the top class, or what fits the output.
   */
  explain(
    picture: Pick<PreparedImage, 'image' | 'tensor'>,
    variants: readonly Variant[],
    targets?: readonly Target[],
    onStep?: OnStep,
  ): Promise<Explained>;
  /** Probabilities [N, classes] of `count` pictures that lie one after the other; of networks with scores of classes alone. */
  predict(tensors: Float32Array, count: number): Promise<Float32Array>;
  /** For sanity checks: the weighted operators from the scores down, and the network with some of them randomised. */
  readonly randomization?: {
    readonly groups: readonly string[];
    readonly open: (groups: readonly number[], seed: number) => Promise<Subject>;
  };
  close(): Promise<void>;
}
