import type { ErrorCode, GradcamppError } from '../../errors.js';
import type { Explanation, FrameFacts, PictureInfo, TargetExplanation } from '../../explain/explanation.js';
import type { Method } from '../../explain/explain-options.js';
import type { Rectangle } from '../../image/pixels.js';
import type { Region } from '../../image/regions.js';
import type { BackendName } from '../../map/backend.js';
import type { SaveKind } from '../output-options.js';

/**
 * One line of `results.jsonl`: one image, target and method. It holds nothing that differs between two runs of the
 * same work, such as times. Numbers are those of float32, written with the digits that tell them apart.
 */
export interface ResultLine {
  /** The picture's number among the inputs, from 0. */
  readonly index: number;
  readonly image: PictureInfo;
  readonly target: {
    /** Class index; absent for a combination of scores. */
    readonly class?: number;
    readonly name: string;
    /** The kind of target, as `--target` names it. */
    readonly kind: string;
    /** The output that it was found in, where it is not the model's scores. */
    readonly output?: string;
    /** Before softmax. */
    readonly score: number;
    readonly probability?: number;
    /** Where a detected object lies, in pixels of the network's input. */
    readonly box?: Rectangle;
  };
  readonly layers: readonly string[];
  /** How the maps of several layers became one. */
  readonly combine?: TargetExplanation['combine'];
  readonly method: Method;
  /** Where no method was named: why this one took the place of the default one. */
  readonly instead?: string;
  /** The method's own settings, seeds among them, and the modifiers that are on; absent where it has none. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly backend?: BackendName;
  /** What a method says of its own result, such as a completeness error. */
  readonly facts?: Readonly<Record<string, number>>;
  readonly map: {
    /** [H, W] of the network's input; of clips [T, H, W]. */
    readonly dims: readonly number[];
    /** Whether nothing in the picture speaks for the target. */
    readonly empty: boolean;
    /** Why it is, where the method itself makes it so. */
    readonly emptyBecause?: string;
    /** Natural logarithm of the factor that `raw` leaves out. */
    readonly logScale: number;
    /** Regions above the threshold, largest first, in pixels of the network's input. */
    readonly bounds: readonly Region[];
    /** Of a map [T, H, W]: each frame's share of the map's sum, and its regions above the threshold of the whole clip. */
    readonly frames?: readonly FrameFacts[];
    /** Where the map lies in the picture, in its pixels: the part that the network saw. Absent for tensors. */
    readonly geometry?: Rectangle;
  };
  /** What was written, relative to the output folder. */
  readonly files: Readonly<Partial<Record<SaveKind | 'timeline', string>>>;
}

/** The line of an image that could not be explained. */
export interface FailedLine {
  readonly index: number;
  readonly image: { readonly path?: string };
  readonly error: { readonly code: ErrorCode; readonly message: string };
}

export type AnyLine = ResultLine | FailedLine;

export function resultLine(
  index: number,
  { image, geometry }: Explanation,
  explained: TargetExplanation,
  files: ResultLine['files'],
): ResultLine {
  const { target, layers, combine, method, instead, settings, backend, facts, map } = explained;
  const { dims, empty, emptyBecause, logScale, bounds, frames } = map;
  return {
    index,
    image,
    target: {
      class: target.class,
      name: target.name,
      kind: target.kind,
      output: target.output,
      score: shortest(target.score),
      probability: shortest(target.probability),
      box: target.box,
    },
    layers,
    combine,
    method,
    instead,
    settings: Object.keys(settings).length > 0 ? settings : undefined,
    facts,
    backend,
    map: {
      dims,
      empty,
      emptyBecause,
      logScale: shortest(logScale),
      bounds: bounds.map(shownRegion),
      frames: frames?.map((own) => ({
        energy: Number(own.energy.toPrecision(7)),
        bounds: own.bounds.map(shownRegion),
      })),
      geometry,
    },
    files,
  };
}

export function shownRegion({ x, y, width, height, area, mass }: Region): Region {
  return { x, y, width, height, area, mass: Number(mass.toPrecision(7)) };
}

export function failedLine(
  index: number,
  path: string | undefined,
  { code, message }: GradcamppError,
): FailedLine {
  return { index, image: { path }, error: { code, message } };
}

/** A float32 as the decimal of fewest digits that rounds to it; other numbers as they are. */
export function shortest<T extends number | undefined>(value: T): T {
  if (value === undefined || Math.fround(value) !== value) return value;
  for (let digits = 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded as T;
  }
  return Number(value.toPrecision(9)) as T;
}
