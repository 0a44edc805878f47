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

/** What the networks of every length are made of. */
export interface CaptionParts {
  /** The encoder, as it was given, and what it is called. */
  readonly source: ModelSource;
  readonly name: string;
  readonly producer: string;
  readonly encoder: Graph;
  readonly decoder: Decoder;
  readonly explainer: OwnExplainerOptions;
}

/**
 * Reads both models, and finds how they belong together.
 *
 * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_OPTION
 */
export async function readParts(given: CaptionerOptions): Promise<CaptionParts> {
  const { encoder, decoder, begin, state, output, ...explainer } = readOptions(
    'Captioner.open',
    captionerOptions,
    given,
  );
  if (encoder === undefined) throw missing('encoder', 'an ONNX file', '--encoder <file>');
  if (decoder === undefined) throw missing('decoder', 'an ONNX file', '--decoder <file>');
  const [pictures, words] = await Promise.all([readModel(encoder), readModel(decoder)]);
  const [front, behind] = await Promise.all([canonicalGraph(pictures), canonicalGraph(words)]);
  return {
    source: encoder,
    name: pictures.name,
    producer: pictures.proto.producerName,
    encoder: front,
    decoder: await bindDecoder({ ...behind, name: words.name }, front.outputs, { state, output }),
    explainer: Object.fromEntries(Object.entries(explainer).filter(([, value]) => value !== undefined)),
  };
}
