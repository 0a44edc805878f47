/** What the explorer's page is told when it opens, in `session.json` beside it. Addresses are relative to the page. */
export interface Session {
  readonly model?: SessionModel;
  readonly pictures: readonly SessionFile[];
  /** Modules of onnxruntime-web. */
  readonly runtime: { readonly wasm: string; readonly webgpu: string };
  /** Settings that the page begins with, as a link holds them. */
  readonly settings: string;
  /** A page of one network for readers: nothing else can be opened in it. */
  readonly isReduced: boolean;
}

export interface SessionFile {
  /** As it was typed, or found in a folder that was: what a command calls it. */
  readonly path: string;
  readonly url: string;
}

export interface SessionModel extends SessionFile {
  /** Files in which it keeps tensors, by the names that it gives them. */
  readonly externalData: Readonly<Record<string, string>>;
  /** How pictures become its input, as a sidecar says it; undefined: assumed, and said. */
  readonly preprocess?: object;
  /** The file that was named for it. */
  readonly preprocessPath?: string;
  /** Of an encoder: what says what it sees. */
  readonly caption?: SessionCaption;
}

export interface SessionCaption {
  readonly decoder: SessionFile;
  readonly tokenizer?: SessionFile;
  /** Addresses of the files beside them. */
  readonly withoutPast?: string;
  readonly tokenizerConfig?: string;
  readonly generation: readonly string[];
  readonly begin?: number;
  readonly end?: readonly number[];
}

export const sessionFile = 'session.json';
