/** Where a trunk's outputs are kept, in the cache. */
export interface TrunkFiles {
  /** One file a view, and one of pictures as they are. */
  readonly views: readonly string[];
  readonly originals: string;
  /** Of one output, without N. */
  readonly dims: readonly number[];
}
