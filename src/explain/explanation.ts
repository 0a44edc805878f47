import type { ClipFrames } from '../clip/clip.js';
import type { Pixels, Rectangle } from '../image/pixels.js';
import type { Region } from '../image/regions.js';
import type { BackendName } from '../map/backend.js';
import type { layerCombinations, Method } from './explain-options.js';

/** The answer for one picture. */
export interface Explanation {
  /** Path and size of the picture, where it has them. */
  readonly image: PictureInfo;
  /** Dims of the network's input, without N. */
  readonly inputDims: readonly number[];
  /** The explained output's values before softmax, row by row. */
  readonly scores: Float32Array;
  /** Their dims, without N: [M] for a classifier. */
  readonly scoreDims: readonly number[];
  /** Their probabilities, [M]; undefined where they are no scores of classes. */
  readonly probabilities?: Float32Array;
  /** One for each target and method: targets in the order asked for, methods within each. */
  readonly targets: readonly TargetExplanation[];
  /** The decoded picture and the part of it that the network saw, for drawing; undefined for tensors. */
  readonly picture?: Pixels;
  readonly geometry?: Rectangle;
  /** Of a clip: the frames that the network saw; `geometry` is the part of each. */
  readonly frames?: readonly Pixels[];
  /** The video that holds a clip's sound, where there may be some. */
  readonly sound?: string;
  /** Values of the network that were asked for beside the maps, by name. */
  readonly values?: ReadonlyMap<string, { readonly data: Float32Array; readonly dims: readonly number[] }>;
}

export interface PictureInfo {
  readonly path?: string;
  readonly width?: number;
  readonly height?: number;
  /** How many frames or pages the file has, where it has several: the first is explained. */
  readonly frames?: number;
  /** Which frames of its video a clip holds. */
  readonly clip?: ClipFrames;
}

/** What one frame has of a clip's map. */
export interface FrameFacts {
  /** Its share of the map's sum, 0…1: all frames have 1 together. */
  readonly energy: number;
  /** Connected regions above the threshold, of the whole clip's maximum; in pixels of the network's input. */
  readonly bounds: readonly Region[];
}

export interface TargetExplanation {
  readonly target: {
    /** Class index; undefined where no class is explained. */
    readonly class?: number;
    readonly name: string;
    /** The kind of target, as `--target` names it: "class", "segmentation", "detection" … */
    readonly kind: string;
    /** The output that it was found in, where it is not the model's scores. */
    readonly output?: string;
    /** The number that is explained. */
    readonly score: number;
    readonly probability?: number;
    /** Where a detected object lies, in pixels of the network's input. */
    readonly box?: Rectangle;
  };
  /** The layers whose maps were combined. */
  readonly layers: readonly string[];
  /** How, where there are several. */
  readonly combine?: (typeof layerCombinations)[number];
  readonly method: Method;
  /** Where no method was named: why this one took the place of the default one. */
  readonly instead?: string;
  /** The method's own settings, seeds among them, and the modifiers that are on. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Softmax form: the probability of the classes left out of the moments. */
  readonly epsilon?: number;
  readonly backend?: BackendName;
  /** What a method says of its own result, such as a completeness error. */
  readonly facts?: Readonly<Record<string, number>>;
  readonly map: ExplanationMap;
  /** The first layer's map before upsampling and normalisation, without the factor e^logScale. */
  readonly raw?: { readonly data: Float32Array; readonly dims: readonly number[] };
  /** What the map is made of, where it was asked for: the layer's activations [K, …] and ∂S/∂A, both of `dims`. */
  readonly evidence?: {
    readonly dims: readonly number[];
    readonly activations: Float32Array;
    /** Undefined where the methods of the call need no gradients. */
    readonly gradients?: Float32Array;
  };
  /** Methods of the input: the attribution of every input element, dims of the input. */
  readonly attribution?: { readonly data: Float32Array; readonly dims: readonly number[] };
}

export interface ExplanationMap {
  /** In 0…1, at the size of the network's input: [H, W], or [T, H, W] for video. */
  readonly data: Float32Array;
  readonly dims: readonly number[];
  /** Whether nothing in the picture speaks for the target: the map is zero everywhere. */
  readonly empty: boolean;
  /** Why it is, where the method itself makes it so: Grad-CAM++'s softmax form. */
  readonly emptyBecause?: string;
  /** Natural logarithm of the factor that `raw` leaves out: S_c (exp form), ln p_c (softmax form), else 0. */
  readonly logScale: number;
  /** Connected regions above the threshold, largest first; in pixels of the network's input. 2-D maps only. */
  readonly bounds: readonly Region[];
  /** Of a map [T, H, W]: each frame's share, and its regions. */
  readonly frames?: readonly FrameFacts[];
}
