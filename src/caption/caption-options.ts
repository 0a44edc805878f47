import { invalid } from '../check.js';
import {
  explainerOptions,
  type ExplainerOptions,
  explainOptions,
  type ExplainOptions,
} from '../explain/explain-options.js';
import { asTyped, count, option, type OptionsOf, type Stage, text } from '../options.js';

/** A file, or its bytes. */
export type ModelSource = string | URL | Uint8Array;

function model(what: string, flag: string) {
  return option(
    (value, name): ModelSource => {
      const isFile = (typeof value === 'string' && value !== '') || value instanceof URL;
      if (isFile || value instanceof Uint8Array) return value as ModelSource;
      throw invalid(name, 'the path, file: URL or bytes of an ONNX file', value);
    },
    { help: what, flag, parse: asTyped },
  );
}

const { output: _scores, frames: _frames, ...ownExplainerOptions } = explainerOptions;

/** What a captioner is opened with. */
export const captionerOptions = {
  /** What makes features of the picture, an ONNX file. */
  encoder: model('the ONNX model that reads the picture', '--encoder <file>'),
  /** What says tokens of them, an ONNX file: without past, merged, or one that makes one step with its states. */
  decoder: model('the ONNX model that says the words', '--decoder <file>'),
  /** How tokens are spelt: a tokenizer.json of Hugging Face, a JSON list of tokens (or an object of ids by token), or such a list. */
  tokenizer: option(checkTokenizer, {
    help: 'tokenizer.json, or a JSON list of tokens',
    otherwise: 'ids alone',
    flag: '--tokenizer <file>',
    parse: asTyped,
  }),
  /** Id of the token that a caption begins with; default: that of generation_config.json or config.json beside the encoder, or of the tokenizer. */
  begin: count({
    help: 'id of the token that a caption begins with',
    otherwise: 'from generation_config.json or config.json',
    flag: '--begin <id>',
  }),
  /** Ids of the tokens that end a caption; default: as for `begin`. */
  end: option(checkIds, {
    help: 'ids of the tokens that end a caption',
    otherwise: 'from generation_config.json or config.json',
    flag: '--end <ids>',
    many: true,
  }),
  /** Which output of a decoder that makes one step is the next value of which input, {h: 'next_h'}; default: found by names and dims. */
  state: option(checkState, {
    help: 'a state of the decoder, INPUT=OUTPUT',
    otherwise: 'found by names and dims',
    flag: '--state <input=output>',
    many: 'repeat',
    parse: asTyped,
  }),
  /** The decoder's output that holds the scores of tokens. */
  output: text({
    help: 'the decoder’s output that holds the scores',
    otherwise: 'found',
    flag: '--output <name>',
    parse: asTyped,
  }),
  ...ownExplainerOptions,
  /** Threads of one session and of the native backend; default: ONNX Runtime's choice. */
  threads: { ...ownExplainerOptions.threads, otherwise: 'ONNX Runtime’s choice' },
} satisfies Stage;

export type CaptionerOptions = OptionsOf<typeof captionerOptions> & {
  readonly encoder: ModelSource;
  readonly decoder: ModelSource;
};

const {
  targets: _targets,
  targetsPerImage: _perImage,
  batchSize: _batch,
  ...ownExplainOptions
} = explainOptions;

/** What is said of a picture, and how it is explained. */
export const captionOptions = {
  /** Ids of the caption's tokens, also of one that the network would not say. A token that begins it may be left out where it is known. */
  ids: option(checkIds, {
    help: 'ids of the tokens of the caption that is explained',
    otherwise: 'what the network says',
    flag: '--ids <list>',
    many: true,
  }),
  /** The caption that is explained, also one that the network would not say; needs `tokenizer`. */
  text: text({
    expected: 'a caption',
    help: 'the caption that is explained',
    otherwise: 'what the network says',
    flag: '--text <caption>',
    parse: asTyped,
  }),
  /** Where the network says it: captions that are followed at the same time; default 1, the best token of every step. */
  beams: count({
    from: 1,
    to: 64,
    default: 1,
    help: 'captions that are followed at the same time, where the network says it',
    flag: '--beams <n>',
  }),
  /** Tokens at most, without those that begin and end the caption; default: of generation_config.json or config.json, else 20. */
  maxLength: count({
    from: 1,
    to: 512,
    help: 'tokens of a caption at most',
    otherwise: 'from generation_config.json or config.json, else 20',
    flag: '--max-length <n>',
  }),
} satisfies Stage;

export const captionExplainOptions = ownExplainOptions;

export type CaptionOptions = OptionsOf<typeof captionOptions> &
  Omit<ExplainOptions, 'targets' | 'targetsPerImage' | 'batchSize'>;

export type OwnExplainerOptions = Omit<ExplainerOptions, 'output' | 'frames'>;

function checkTokenizer(value: unknown, name: string): string | readonly string[] {
  const isList = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
  if (isList || (typeof value === 'string' && value !== '')) return value as string | readonly string[];
  throw invalid(name, 'the path of a tokenizer.json or of a JSON list of tokens, or such a list', value);
}

function checkIds(value: unknown, name: string): readonly number[] {
  const isId = (item: unknown) => Number.isSafeInteger(item) && (item as number) >= 0;
  if (Array.isArray(value) && value.length > 0 && value.every(isId)) return value;
  throw invalid(name, 'a list of token ids, whole numbers from 0', value);
}

/** An object of names, or the command line's list of INPUT=OUTPUT. */
function checkState(value: unknown, name: string): Readonly<Record<string, string>> {
  const pairs = Array.isArray(value)
    ? value.map((item) => String(item).split('='))
    : Object.entries(Object(value));
  const areNames = pairs.every(
    (pair) => pair.length === 2 && pair.every((own) => typeof own === 'string' && own !== ''),
  );
  if (pairs.length > 0 && areNames) return Object.fromEntries(pairs);
  throw invalid(name, 'inputs with the outputs that are their next values, { h: "next_h" }', value);
}
