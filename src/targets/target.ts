import type { Builder, Name } from '../graph/builder.js';

/** One picture's values of one output of the network, without the batch axis. */
export interface Row {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** How probabilities follow from an output's values; some models also scale, shift and clip what they give. */
export type Link = 'softmax' | 'sigmoid' | 'identity' | 'none' | Calibration;

/** clip(scale · f(values) + shift, least, most) */
export interface Calibration {
  readonly of: 'softmax' | 'sigmoid' | 'identity';
  readonly scale: number;
  readonly shift: number;
  readonly least: number;
  readonly most: number;
}

/** Names of classes, in the order of the scores. */
export type Classes = readonly { readonly name: string; readonly wnid?: string }[];

/** An output of the network. */
export interface Output {
  readonly name: string;
  /** The value that is explained: before a final softmax or sigmoid. */
  readonly value: string;
  /** N first; a name or '' where a dim is only known when the network runs. */
  readonly dims: readonly (number | string)[];
  readonly link: Link;
  /** Whether a softmax or sigmoid was stepped over; otherwise the link is a guess where scores are not classes. */
  readonly isStepped: boolean;
  /** Whether it is a vector of length 1, and no scores. */
  readonly isEmbedding?: boolean;
  /** Whether it holds the features of a normalised layer, such as a transformer's last tokens. */
  readonly areFeatures?: boolean;
}

/** What is known of the network before it has seen a picture. */
export interface NetworkFacts {
  /** The output that the target is found in. */
  readonly output: Output;
  /** Whether the user named that output. */
  readonly isChosen: boolean;
  /** All that hold floats. */
  readonly outputs: readonly Output[];
  /** What a NonMaxSuppression in the network chooses from. */
  readonly suppression?: {
    /** [N, classes, candidates] */
    readonly scores: Output;
    /** [N, candidates, 4] */
    readonly boxes: string;
    readonly format: 'cxcywh' | 'xyxy' | 'yxyx';
  };
  /** Spatial dims of the input. */
  readonly size: readonly (number | string)[];
  /** Whether the channels are the input's last axis. */
  readonly channelsLast: boolean;
  readonly classes: Classes | undefined;
  /** What the exporter wrote into the model. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** What a target may know beside the row that it is found in. */
export interface Facts {
  readonly classes: Classes | undefined;
  readonly link: Link;
  /** Another output of the same picture; only of those that the target `reads`. */
  readonly output: (name: string) => Row;
  /** Spatial dims of the network's input. */
  readonly size: readonly number[];
  /** Whether the channels are the input's last axis. */
  readonly channelsLast: boolean;
  /** Whether the row is no picture's: then only what no picture can have is refused. */
  readonly isBlank?: boolean;
}

/** What is read once, before the first picture. */
export interface Tools {
  /** The numbers of a .npy file. */
  readonly numbers: (path: string) => Promise<Row>;
  /** The pixels of a mask: a picture file or a .npy file. */
  readonly mask: (path: string) => Promise<Mask>;
  /** A text file. */
  readonly text: (path: string) => Promise<string>;
  /** What the network says of another picture, in the output that is explained. */
  readonly rowOf: (picture: unknown) => Promise<Row>;
  /** The values of some outputs one after another as an output of its own, and what these outputs are called to be read. */
  readonly join: (outputs: readonly string[]) => {
    readonly output: string;
    readonly parts: readonly string[];
  };
}

/** Pixels of which those that are not 0 count. */
export interface Mask {
  readonly data: ArrayLike<number>;
  /** [h, w] */
  readonly dims: readonly number[];
  /** The part of it that the network sees, in its own pixels; default: all of it. */
  readonly geometry?: Box;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A target found in one picture: a differentiable number. */
export interface Goal {
  /** As results call it. */
  readonly name: string;
  /** The kind of target that it is. */
  readonly kind: string;
  /** The class that is explained, where there is one. */
  readonly class?: number;
  /** Where it stands in the row, where it is one of the scores of classes: what a softmax over them needs. */
  readonly place?: number;
  /** The number that is explained. What was chosen in the picture itself (a class, a candidate, a mask) stays chosen. */
  readonly value: (row: Row) => number;
  /** Its derivative by the row: a new array of the row's length. */
  readonly seed: (row: Row) => Float32Array;
  /** Whether the number is linear in the row, so that the seed is the same for every row. */
  readonly isLinear?: boolean;
  /** The probability of what is explained, where it has one. */
  readonly probability?: (row: Row) => number | undefined;
  /** A number in 0…1 that grows with what is explained, where it has no probability. */
  readonly share?: (row: Row) => number;
  /** The method that explains it where none is named, of those that need activations and gradients; default: the usual one. */
  readonly method?: string;
  /** Goals of equal keys are one: explained once where two targets of a picture ask for it. */
  readonly key?: string;
  /** Where it lies in the network's input, in its pixels. */
  readonly box?: Box;
}

/** An output inside a graph, where a target is found in it. */
export interface OutputNodes {
  readonly value: Name;
  /** N first; a name or '' where a dim is only known when the model runs. */
  readonly dims: readonly (number | string)[];
  readonly network: NetworkFacts;
  /** What one picture of noise gives: for facts that are the same in every picture, and that names and dims do not tell. */
  readonly probe: () => Promise<{ readonly row: Row; readonly facts: Facts }>;
}

/** A goal of every picture of a batch, as nodes. */
export interface GoalNodes {
  /** Index of the class, [N] int64; −1 where there is none. */
  readonly class: Name;
  /** Where it stands in the row, where it is one of the scores of classes; [N]. */
  readonly place?: Name;
  /** The derivative of the explained number by the output, with its dims. */
  readonly seed: Name;
}

/** A target that is ready for pictures. */
export interface Ready<Spec> {
  readonly spec: Spec;
  /** What is said to the user, where a choice was made that is not plain. */
  readonly note?: string;
  /** The values that it is found in together, where they are several: the layer is one that all of them come from. */
  readonly joins?: readonly string[];
  /** Whether the outputs are understood together, so that there is none left to choose. */
  readonly isWhole?: boolean;
}

/** A kind of target. */
export interface TargetKind<Spec = unknown> {
  /** As `--target` names it. */
  readonly name: string;
  /** What it explains, in one line for the help. */
  readonly help: string;
  /** As `--target` takes it. */
  readonly example?: string;
  /** Whether a target that a program gives is of this kind. */
  readonly is: (spec: unknown) => spec is Spec;
  /** Throws INVALID_TARGET where keys or values are wrong whatever the picture. */
  readonly check: (spec: Spec) => void;
  /** The output whose values it is found in; undefined: the model's scores. */
  readonly output?: (spec: Spec) => string | undefined;
  /** Other outputs that it reads. */
  readonly reads?: (spec: Spec) => readonly string[];
  /** Done once, before the first picture: files read, other pictures embedded, what fits the network chosen. */
  readonly prepare?: (spec: Spec, network: NetworkFacts, tools: Tools) => Promise<Ready<Spec>> | Ready<Spec>;
  /** The outputs that it is found in, as far as dims are known before the network runs; absent: any, or `prepare` tells. */
  readonly takes?: {
    /** For the message where one does not fit. */
    readonly what: string;
    readonly is: (network: NetworkFacts, spec: Spec) => boolean;
  };
  /** The goals in one picture. */
  readonly find: (spec: Spec, row: Row, facts: Facts) => Goal[];
  /** Whether `find` gives at most one goal. */
  readonly isSingle: (spec: Spec) => boolean;
  /** From what follows `--target <name>:` on the command line. */
  readonly parse?: (text: string) => Spec;
  /** Whether the goals are linear, and the same in every picture: then an exported model holds them as constants. */
  readonly isConstant?: (spec: Spec) => boolean;
  /** What the target must name to be constant, where it is not always. */
  readonly constantIf?: string;
  /** The goals as nodes, where they are found in the picture. Absent, and not constant: the target cannot be exported. */
  readonly nodes?: (
    spec: Spec,
    b: Builder,
    output: OutputNodes,
  ) => GoalNodes[] | Promise<GoalNodes[]> | undefined;
  /** The target where none is named, if the network's output is of the kind that this one explains. */
  readonly fits?: (network: NetworkFacts) => Ready<Spec> | undefined;
  /** Of classes and the best ones: they are found in scores of classes, [N, classes], alone. */
  readonly isOfClasses?: boolean;
  /** What a class, or the n best ones, are where `fits` chose this kind: a segment of it, an object of it; undefined: a class. */
  readonly ofClass?: (choice: ClassChoice, network: NetworkFacts) => Spec | undefined;
}

/** A class, or the n best. */
export type ClassChoice = { readonly class: number | string } | { readonly top: number };

/** Whether an output, or a row of it, holds one number a class: at most one dim beside N is not 1. */
export function isOfScores(dims: readonly (number | string)[]): boolean {
  return dims.filter((dim) => dim !== 1).length <= 1;
}

/** Whether an output may hold scores of classes, [N, classes]. */
export function holdsScores({ dims, isEmbedding }: Output): boolean {
  return isOfScores(dims.slice(1)) && !isEmbedding;
}

/** What a link scales and clips, where it does. */
export function baseOf(link: Link): Exclude<Link, Calibration> {
  return typeof link === 'object' ? link.of : link;
}

/** A goal that is linear in the row: its seed is its weights. */
export function linearGoal(goal: Omit<Goal, 'value' | 'seed'>, weights: () => Float32Array): Goal {
  return {
    ...goal,
    isLinear: true,
    value: ({ data }) => {
      const own = weights();
      let sum = 0;
      for (let i = 0; i < own.length; i++) if (own[i] !== 0) sum += own[i] * data[i];
      return sum;
    },
    seed: weights,
  };
}

export function isObject(spec: unknown): spec is object {
  return typeof spec === 'object' && spec !== null;
}
