import { missing } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import type { Model } from '../onnx/model.js';
import { readOptions } from '../options.js';
import { canonicalGraph } from '../runtime/prepare.js';
import {
  captionerOptions,
  type CaptionerOptions,
  type ModelSource,
  type OwnExplainerOptions,
} from './caption-options.js';
import { bindDecoder, type Decoder, goesOn } from './decoder.js';
import type { Limits } from './generation.js';
import type { Words } from './words.js';

/** What a captioner is made of, as files of Node or of a page give it. */
export interface CaptionSources {
  /** The encoder, as it was given. */
  readonly source: ModelSource;
  readonly encoder: Model;
  readonly decoder: Model;
  /** The decoder without stored keys and values, where it lies beside the one that was given. */
  readonly withoutPast?: () => Promise<Model | undefined>;
  readonly words: Words;
  /** What the files beside the encoder say. */
  readonly limits: Limits;
}

/** What the networks of every length are made of. */
export interface CaptionParts {
  /** The encoder, as it was given, and what it is called. */
  readonly source: ModelSource;
  readonly name: string;
  readonly producer: string;
  readonly encoder: Graph;
  readonly decoder: Decoder;
  readonly explainer: OwnExplainerOptions;
  readonly words: Words;
  /** What the user should know of how they are read. */
  readonly notes: readonly string[];
  readonly limits: Limits;
}

/** The options of a captioner, checked: which files, and what else is said. */
export function checkCaptioner(given: CaptionerOptions) {
  const { encoder, decoder, tokenizer, ...rest } = readOptions('Captioner.open', captionerOptions, given);
  if (encoder === undefined) throw missing('encoder', 'an ONNX file', '--encoder <file>');
  if (decoder === undefined) throw missing('decoder', 'an ONNX file', '--decoder <file>');
  return { encoder, decoder, tokenizer, rest };
}

/**
 * Finds how both models belong together.
 *
 * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_OPTION
 */
export async function partsOf(
  { source, encoder, decoder, withoutPast, words, limits: beside }: CaptionSources,
  { begin, end, state, output, ...explainer }: ReturnType<typeof checkCaptioner>['rest'],
): Promise<CaptionParts> {
  const front = await canonicalGraph(encoder);
  const behind = await decoderOf(decoder, withoutPast);
  return {
    source,
    name: encoder.name,
    producer: encoder.proto.producerName,
    encoder: front,
    decoder: await bindDecoder(behind.graph, front.outputs, { state, output }),
    notes: behind.notes,
    words,
    limits: {
      begin: begin ?? beside.begin ?? words.begin,
      end: end ?? (beside.end.length > 0 ? beside.end : words.end === undefined ? [] : [words.end]),
      maxLength: beside.maxLength,
    },
    explainer: Object.fromEntries(Object.entries(explainer).filter(([, value]) => value !== undefined)),
  };
}

/** What a decoder without stored keys and values is called, beside the one that has them. */
export const withoutPastName = 'decoder_model.onnx';

/** The decoder; the one beside it, where it only goes on with what that has begun. */
async function decoderOf(
  model: Model,
  withoutPast: CaptionSources['withoutPast'],
): Promise<{ graph: Graph; notes: string[] }> {
  const graphOf = async (own: Model) => ({ ...(await canonicalGraph(own)), name: own.name });
  const graph = await graphOf(model);
  if (!goesOn(graph)) return { graph, notes: [] };
  const other = await withoutPast?.();
  if (other) {
    const note = `"${graph.name}" reads what "${withoutPastName}" has stored of the picture, so no gradient goes through it: "${withoutPastName}", which lies beside it and says the same, is explained.`;
    return { graph: await graphOf(other), notes: [note] };
  }
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `"${graph.name}" reads what another decoder has stored of the picture (past_key_values), so no gradient reaches the encoder. Give the one without past, ${withoutPastName}, or the merged one, decoder_model_merged.onnx.`,
  );
}
