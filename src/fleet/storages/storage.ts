/**
 * Where a plan and the results of its shards lie. Names are relative, with "/" between their parts. What has a name is whole:
 * nothing is seen half written. Nothing is locked.
 */
export interface Storage {
  /** What it is called in messages. */
  readonly address: string;
  /** The bytes under a name, a piece at a time; undefined where there are none. */
  read(name: string): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** Puts bytes, or a file of this machine, under a name; what was there is replaced. They are durable when this returns. */
  put(name: string, content: Uint8Array | { readonly file: string }): Promise<void>;
  /** Puts bytes under a name that is free. @returns whether it was */
  create(name: string, bytes: Uint8Array): Promise<boolean>;
  /** The names in a folder; what is in its folders only where that is asked for. "" is all. In any order. */
  list(folder: string, options?: { readonly isDeep?: boolean }): AsyncIterable<string>;
}

/** A kind of storage. */
export interface StorageKind {
  /** Whether it is meant by an address. */
  readonly isMeant: (address: string) => boolean;
  readonly open: (address: string) => Promise<Storage>;
}

/** Small content as a whole; undefined where there is none. */
export async function readWhole(storage: Storage, name: string): Promise<Buffer | undefined> {
  const pieces = await storage.read(name);
  if (!pieces) return undefined;
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return Buffer.concat(parts);
}
