import type { Target } from '../targets/index.js';
import type { SaveKind } from './output-options.js';
import type { AnyLine } from './results/result-line.js';

/** A part of a file. */
export interface Part {
  readonly archive: string;
  readonly offset: number;
  readonly size: number;
}

/** One picture of a run. */
export interface Picture {
  /** Its number among the inputs, from 0. */
  readonly index: number;
  /** What it is called in results: the path, or "archive.tar/member". */
  readonly path: string;
  /** What its files are called, with "/" between folders. */
  readonly name: string;
  /** The part of an archive that holds it; otherwise `path` does. */
  readonly part?: Part;
  /** The pictures that are its frames, where it is a clip; `path` is then their folder. Those in an archive are parts of it. */
  readonly frames?: readonly (string | (Part & { readonly name: string }))[];
  /** Why it cannot be read, where that is known already. */
  readonly problem?: string;
  /** The content, where it is no file. */
  readonly bytes?: Uint8Array;
  /** What is asked of this one, and drawn of it, in place of what the run asks and draws. */
  readonly targets?: Target | readonly Target[];
  readonly save?: readonly SaveKind[];
}

/** A picture as it is listed, and the archive that its results go to, where it came from one. */
export interface Input extends Picture {
  readonly archive?: string;
  /** What it has in common with itself alone, where that is not its file's size and time of change. */
  readonly state?: string;
}

/** A picture that is done. */
export interface Done<Line extends object = AnyLine> {
  readonly index: number;
  readonly lines: readonly Line[];
  /** Name, size and CRC-32 of every file. */
  readonly files: readonly (readonly [name: string, size: number, checksum: number])[];
  /** Their bytes, where they are not written yet. */
  readonly bytes?: readonly Uint8Array[];
}
