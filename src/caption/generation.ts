/** What begins and ends captions, as far as it is known. */
export interface Limits {
  /** Id of the token that the decoder reads first. */
  readonly begin?: number;
  /** Ids of the tokens that end a caption. */
  readonly end: readonly number[];
  /** Tokens of a caption at most, without those that begin and end it. */
  readonly maxLength?: number;
}

export type Json = Readonly<Record<string, unknown>>;

/** Files of Hugging Face that say it, the one that counts before the other. */
export const limitFiles = ['generation_config.json', 'config.json'] as const;

/** What the content of such files says. A captioner's own keys count before those of its decoder. */
export function limitsOf(files: readonly Json[]): Limits {
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
