import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { Graph } from '../graph/graph.js';
import { readModel } from '../onnx/read.js';
import { readOptions } from '../options.js';
import { canonicalGraph } from '../runtime/prepare.js';
import {
  captionerOptions,
  type CaptionerOptions,
  type ModelSource,
  type OwnExplainerOptions,
} from './caption-options.js';
import { bindDecoder, type Decoder, goesOn } from './decoder.js';
import { type Limits, limitsBeside } from './generation.js';
import { idsAlone, readWords, type Words } from './words.js';

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

/**
 * Reads both models, and finds how they belong together.
 *
 * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_OPTION
 */
export async function readParts(given: CaptionerOptions): Promise<CaptionParts> {
  const { encoder, decoder, tokenizer, begin, end, state, output, ...explainer } = readOptions(
    'Captioner.open',
    captionerOptions,
    given,
  );
  if (encoder === undefined) throw missing('encoder', 'an ONNX file', '--encoder <file>');
  if (decoder === undefined) throw missing('decoder', 'an ONNX file', '--decoder <file>');
  const pictures = await readModel(encoder);
  const words = tokenizer === undefined ? idsAlone : await readWords(tokenizer);
  const beside = await limitsBeside(encoder);
  const front = await canonicalGraph(pictures);
  const behind = await readDecoder(decoder);
  return {
    source: encoder,
    name: pictures.name,
    producer: pictures.proto.producerName,
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
const withoutPast = 'decoder_model.onnx';

/** The decoder; the one beside it, where it only goes on with what that has begun. */
async function readDecoder(source: ModelSource): Promise<{ graph: Graph; notes: string[] }> {
  const read = async (from: ModelSource) => {
    const model = await readModel(from);
    return { ...(await canonicalGraph(model)), name: model.name };
  };
  const graph = await read(source);
  if (!goesOn(graph)) return { graph, notes: [] };
  const path = source instanceof URL ? fileURLToPath(source) : source;
  const other = path instanceof Uint8Array ? undefined : join(dirname(path), withoutPast);
  if (other !== undefined && other !== path && existsSync(other)) {
    const note = `"${graph.name}" reads what "${withoutPast}" has stored of the picture, so no gradient goes through it: "${withoutPast}", which lies beside it and says the same, is explained.`;
    return { graph: await read(other), notes: [note] };
  }
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `"${graph.name}" reads what another decoder has stored of the picture (past_key_values), so no gradient reaches the encoder. Give the one without past, ${withoutPast}, or the merged one, decoder_model_merged.onnx.`,
  );
}
