/** One picture's values of one output of the network, without the batch axis. */
export interface Row {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

/** How probabilities follow from an output's values. */
export type Link = 'softmax' | 'sigmoid' | 'identity' | 'none';

/** What a target may know beside the row that it is found in. */
export interface Facts {
  readonly classes: readonly { readonly name: string; readonly wnid?: string }[] | undefined;
  readonly link: Link;
  /** Another output of the same picture; only of those that the target `reads`. */
  readonly output: (name: string) => Row;
  /** Spatial dims of the network's input. */
  readonly size: readonly number[];
}

/** A target found in one picture: a differentiable number. */
export interface Goal {
  /** As results call it. */
  readonly name: string;
  /** The class that is explained, where there is one. */
  readonly class?: number;
  /** The number that is explained. What was chosen in the picture itself (a class, a candidate, a mask) stays chosen. */
  readonly value: (row: Row) => number;
  /** Its derivative by the row: a new array of the row's length. */
  readonly seed: (row: Row) => Float32Array;
  /** The probability of what is explained, where it has one. */
  readonly probability?: (row: Row) => number | undefined;
  /** Goals of equal keys are one: explained once where two targets of a picture ask for it. */
  readonly key?: string;
  /** Where it lies in the network's input, in its pixels. */
  readonly box?: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
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
  /** The goals in one picture. */
  readonly find: (spec: Spec, row: Row, facts: Facts) => Goal[];
  /** Whether `find` gives at most one goal. */
  readonly isSingle: (spec: Spec) => boolean;
  /** From what follows `--target <name>:` on the command line. */
  readonly parse?: (text: string) => Spec;
  /**
   * The target where none is named, if the output's dims (N first) are of the kind that this one explains; what is said to the
   * user then, where the choice is not plain.
   */
  readonly fits?: (output: {
    readonly name: string;
    readonly dims: readonly (number | string)[];
    readonly link: Link;
  }) => { readonly spec: Spec; readonly note?: string } | undefined;
}

/** A goal that is linear in the row: its seed is its weights. */
export function linearGoal(goal: Omit<Goal, 'value' | 'seed'>, weights: () => Float32Array): Goal {
  return {
    ...goal,
    value: ({ data }) => {
      const own = weights();
      let sum = 0;
      for (let i = 0; i < own.length; i++) if (own[i] !== 0) sum += own[i] * data[i];
      return sum;
    },
    seed: weights,
  };
}
