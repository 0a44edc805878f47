import type { Explanation, ExplanationMap, TargetExplanation } from '../explain/explanation.js';

/** The answer for one picture. */
export interface CaptionExplanation
  extends Pick<Explanation, 'image' | 'inputDims' | 'picture' | 'geometry'> {
  /** One for each token, in order; the one that begins the caption is none of them. */
  readonly tokens: readonly TokenExplanation[];
  readonly caption: CaptionSummary;
}

export interface CaptionSummary extends Explained {
  /** The caption as it is read; ids with spaces between them where there is no tokenizer. */
  readonly text: string;
  /** Whether it was given; else the network said it. */
  readonly isGiven: boolean;
  /** Σ_t log p(token t | tokens before it, picture). */
  readonly logProbability: number;
}

export interface TokenExplanation extends Explained {
  /** How the token is spelt; its id where there is no tokenizer. */
  readonly token: string;
  readonly id: number;
  /** Whether it goes on with the word of the token before it. */
  readonly continues?: true;
  /** log p(token | tokens before it, picture). */
  readonly logProbability: number;
  /** What the decoder attends to where it says this token: mean of its layers and heads; only of decoders that attend to places. */
  readonly attention?: AttentionMap;
}

interface Explained {
  /** By the first method, in 0…1, at the size of the network's input. */
  readonly map: ExplanationMap;
  /** By every method, in their order. */
  readonly methods: readonly TargetExplanation[];
}

/** The decoder's own attention to the picture. */
export interface AttentionMap {
  /** In 0…1, at the size of the network's input: enlarged and normalised as the maps are. */
  readonly data: Float32Array;
  readonly dims: readonly number[];
  /** As the decoder has it, place by place of its grid. */
  readonly weights: { readonly data: Float32Array; readonly dims: readonly number[] };
}
