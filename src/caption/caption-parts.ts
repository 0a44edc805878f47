import { missing } from '../check.js';
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
import { bindDecoder, type Decoder } from './decoder.js';
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
  const [pictures, speaker] = await Promise.all([readModel(encoder), readModel(decoder)]);
  const words = tokenizer === undefined ? idsAlone : await readWords(tokenizer);
  const beside = await limitsBeside(encoder);
  const [front, behind] = await Promise.all([canonicalGraph(pictures), canonicalGraph(speaker)]);
  return {
    source: encoder,
    name: pictures.name,
    producer: pictures.proto.producerName,
    encoder: front,
    decoder: await bindDecoder({ ...behind, name: speaker.name }, front.outputs, { state, output }),
    words,
    limits: {
      begin: begin ?? beside.begin ?? words.begin,
      end: end ?? (beside.end.length > 0 ? beside.end : words.end === undefined ? [] : [words.end]),
      maxLength: beside.maxLength,
    },
    explainer: Object.fromEntries(Object.entries(explainer).filter(([, value]) => value !== undefined)),
  };
}
