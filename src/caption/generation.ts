import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GradcamppError } from '../errors.js';
import { readText } from '../files.js';
import type { ModelSource } from './caption-options.js';

/** What begins and ends captions, as far as it is known. */
export interface Limits {
  /** Id of the token that the decoder reads first. */
  readonly begin?: number;
  /** Ids of the tokens that end a caption. */
  readonly end: readonly number[];
  /** Tokens of a caption at most, without those that begin and end it. */
  readonly maxLength?: number;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * What generation_config.json and config.json of Hugging Face say, beside the model or in the folder above. A captioner's own
 * keys count before those of its decoder.
 */
export async function limitsBeside(model: ModelSource): Promise<Limits> {
  const files: Json[] = [];
  for (const name of ['generation_config.json', 'config.json']) {
    const content = await jsonBeside(model, name);
    if (content) files.push(content);
  }
  const all = files.flatMap((file) => [file, part(file, 'decoder'), part(file, 'text_config')]);
  const first = <T>(read: (own: Json) => T | undefined): T | undefined => {
    for (const own of all) {
      const found = read(own);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const begin =
    first(({ decoder_start_token_id: id }) => asId(id)) ?? first(({ bos_token_id: id }) => asId(id));
  const end = first(({ eos_token_id: id }) => asIds(id)) ?? [];
  const isBlip = files.some(({ model_type: type }) => type === 'blip');
  const separator = first(({ sep_token_id: id }) => asId(id));
  const most = first(({ max_new_tokens: count }) => asId(count));
  const whole = most === undefined ? first(({ max_length: count }) => asId(count)) : undefined;
  return {
    begin,
    end: isBlip && separator !== undefined ? [separator] : end, // BLIP ends captions so, whatever else is written
    maxLength: most ?? (whole === undefined ? undefined : whole - 1),
  };
}

/** A JSON file beside a model, or in the folder above; undefined where there is none. */
export async function jsonBeside(model: ModelSource, name: string): Promise<Json | undefined> {
  if (model instanceof Uint8Array) return undefined;
  const path = model instanceof URL ? fileURLToPath(model) : model;
  const file = [dirname(path), dirname(dirname(resolve(path)))]
    .map((folder) => join(folder, name))
    .find((own) => existsSync(own));
  return file === undefined ? undefined : (readJson(file) as Promise<Json>);
}

export async function readJson(path: string): Promise<unknown> {
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

function part(file: Json, key: string): Json {
  const own = file[key];
  return own !== null && typeof own === 'object' ? (own as Json) : {};
}

function asId(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

function asIds(value: unknown): number[] | undefined {
  const list = (Array.isArray(value) ? value : [value]).map(asId);
  return list.every((id) => id !== undefined) ? list : undefined;
}
