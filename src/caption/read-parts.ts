import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GradcamppError, show } from '../errors.js';
import { readText, whyUnreadable } from '../files.js';
import { readModel } from '../onnx/read.js';
import type { CaptionerOptions, ModelSource } from './caption-options.js';
import { type CaptionParts, checkCaptioner, partsOf, withoutPastName } from './caption-parts.js';
import { type Json, limitFiles, type Limits, limitsOf } from './generation.js';
import { idsAlone, type Words, wordsOf } from './words.js';

/**
 * Reads both models and what lies beside them, and finds how they belong together.
 *
 * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_OPTION
 */
export async function readParts(given: CaptionerOptions): Promise<CaptionParts> {
  const { encoder, decoder, tokenizer, rest } = checkCaptioner(given);
  return partsOf(
    {
      source: encoder,
      encoder: await readModel(encoder),
      words: tokenizer === undefined ? idsAlone : await readWords(tokenizer),
      limits: await limitsBeside(encoder),
      decoder: await readModel(decoder),
      withoutPast: async () => {
        const path = pathOf(decoder);
        const other = path && withoutPastBeside(path);
        return other === undefined ? undefined : readModel(other);
      },
    },
    rest,
  );
}

/** The decoder without stored keys and values, where it lies beside another. */
function withoutPastBeside(decoder: string): string | undefined {
  const other = join(dirname(decoder), withoutPastName);
  return other !== decoder && existsSync(other) ? other : undefined;
}

function pathOf(model: ModelSource): string | undefined {
  if (model instanceof Uint8Array) return undefined;
  return model instanceof URL ? fileURLToPath(model) : model;
}

/** Words by a file, with the `tokenizer_config.json` beside it, or by a list of tokens. */
export async function readWords(given: string | readonly string[]): Promise<Words> {
  if (typeof given !== 'string') return wordsOf(given, '"tokenizer"');
  let content: unknown;
  try {
    content = await readJson(given);
  } catch (error) {
    if (error instanceof GradcamppError) throw error;
    throw new GradcamppError('INVALID_OPTION', `${show(given)} cannot be read: ${whyUnreadable(error)}.`);
  }
  const beside = join(dirname(given), tokenizerConfig);
  return wordsOf(content, show(given), existsSync(beside) ? ((await readJson(beside)) as object) : {});
}

const tokenizerConfig = 'tokenizer_config.json';

/** What generation_config.json and config.json say, beside the model or in the folder above. */
export async function limitsBeside(model: ModelSource): Promise<Limits> {
  const files: Json[] = [];
  for (const path of Object.values(besideEncoder(model))) files.push((await readJson(path)) as Json);
  return limitsOf(files);
}

/** Where those files are that there are. */
function besideEncoder(model: ModelSource): Readonly<Record<string, string>> {
  const path = pathOf(model);
  if (path === undefined) return {};
  const folders = [dirname(path), dirname(dirname(resolve(path)))];
  const found = limitFiles.map((name) => [
    name,
    folders.map((folder) => join(folder, name)).find((own) => existsSync(own)),
  ]);
  return Object.fromEntries(found.filter(([, own]) => own !== undefined));
}

/** The files beside a captioner's that belong to it. */
export function captionerFiles({
  encoder,
  decoder,
  tokenizer,
}: {
  readonly encoder: string;
  readonly decoder: string;
  readonly tokenizer?: string;
}): {
  readonly generation: readonly string[];
  readonly tokenizerConfig?: string;
  readonly withoutPast?: string;
} {
  const config = tokenizer === undefined ? undefined : join(dirname(tokenizer), tokenizerConfig);
  const withoutPast = withoutPastBeside(decoder);
  return {
    generation: Object.values(besideEncoder(encoder)),
    ...(withoutPast === undefined ? {} : { withoutPast }),
    ...(config !== undefined && existsSync(config) ? { tokenizerConfig: config } : {}),
  };
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new GradcamppError(
      'INVALID_OPTION',
      `${JSON.stringify(path)} is not JSON: ${(cause as Error).message.replaceAll(/\s+/g, ' ')}.`,
      { cause },
    );
  }
}
