import type { Read, Wanted } from '../labelled.js';

/** What was named, and what it is. */
export interface Place {
  /** What messages call it: `"data" "train.csv"`. */
  readonly of: string;
  readonly path: string;
  readonly isFolder: boolean;
  /** Names in a folder, without those that begin with a dot. */
  readonly names: readonly { readonly name: string; readonly isFolder: boolean }[];
}

/** A form that labelled pictures may have. */
export interface Source {
  /** In a few words, as messages and help list it. */
  readonly name: string;
  readonly takes: (place: Place) => boolean;
  /** @throws GradcamppError INVALID_OPTION */
  readonly read: (place: Place, wanted: Wanted) => Promise<Read>;
}
