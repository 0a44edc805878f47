import { didYouMean } from '../check.js';
import { GradcamppError, messageOf, show } from '../errors.js';

/** How tokens are spelt. */
export interface Words {
  /** Ids of a text's tokens, without those that begin and end a caption. */
  encode(text: string): number[];
  /** The text that tokens spell. */
  decode(ids: readonly number[]): string;
  /** How each of them is spelt, and whether it goes on with the word before it. */
  pieces(ids: readonly number[]): Piece[];
  /** Of tokens that begin and end a caption, by what they are called. */
  readonly begin?: number;
  readonly end?: number;
}

export interface Piece {
  readonly text: string;
  readonly continues: boolean;
}

/** Where there is no tokenizer: ids, with spaces between them. */
export const idsAlone: Words = {
  encode: (text) => {
    throw new GradcamppError(
      'INVALID_OPTION',
      `"text" (--text) needs a tokenizer, "tokenizer" (--tokenizer FILE), or give ids of tokens, "ids" (--ids); received ${show(text)}.`,
    );
  },
  decode: (ids) => ids.join(' '),
  pieces: (ids) => ids.map((id) => ({ text: String(id), continues: false })),
};

/**
 * Words by the content of a `tokenizer.json` of Hugging Face (`config` is that of its `tokenizer_config.json`), or by a vocabulary: a list
 * of tokens, or an object of ids by token.
 *
 * @param name what messages call it
 * @throws GradcamppError INVALID_OPTION
 */
export async function wordsOf(content: unknown, name: string, config: object = {}): Promise<Words> {
  if (Array.isArray(content) && content.every((item) => typeof item === 'string'))
    return vocabulary(content, name);
  const entries = content !== null && typeof content === 'object' ? Object.entries(content) : [];
  if (entries.some(([key]) => key === 'model') && entries.length > 1)
    return tokenizer(content as object, name, config);
  const byToken = entries.every(([, id]) => Number.isSafeInteger(id) && (id as number) >= 0);
  const byId = entries.every(([id, token]) => /^\d+$/.test(id) && typeof token === 'string');
  if (entries.length > 0 && (byToken || byId)) {
    const list: string[] = [];
    for (const [key, value] of entries) list[Number(byToken ? value : key)] = String(byToken ? key : value);
    return vocabulary(
      Array.from(list, (token, id) => token ?? `<${id}>`),
      name,
    );
  }
  throw new GradcamppError(
    'INVALID_OPTION',
    `${name} must be a tokenizer.json of Hugging Face, a JSON list of tokens, or an object of ids by token; received ${show(content)}.`,
  );
}

const beginNames = /^[<[]?(start|bos|begin|sos|s|cls|startseq)[>\]]?$/i;
const endNames = /^[<[]?(end|eos|\/s|sep|endseq)[>\]]?$/i;

/** A token is a word. */
function vocabulary(tokens: readonly string[], name: string): Words {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const lower = new Map(tokens.map((token, id) => [token.toLowerCase(), id]));
  const marked = (pattern: RegExp) => {
    const found = tokens.findIndex((token) => pattern.test(token) && /^[<[]|seq$/.test(token));
    return found < 0 ? undefined : found;
  };
  const nameOf = (id: number) => {
    if (id < tokens.length) return tokens[id];
    throw new GradcamppError(
      'INVALID_OPTION',
      `${name} must have a token for every id; it has ${tokens.length}, and the id ${id} was said. It may be another decoder's.`,
    );
  };
  return {
    begin: marked(beginNames),
    end: marked(endNames),
    encode: (text) =>
      (text.match(/[^\s.,;:!?"]+|[.,;:!?"]/g) ?? []).map((word) => {
        const id = ids.get(word) ?? lower.get(word.toLowerCase());
        if (id !== undefined) return id;
        throw new GradcamppError(
          'INVALID_OPTION',
          `"text" must be of words of ${name}; received ${show(word)}. ${didYouMean(word, tokens)}`.trim(),
        );
      }),
    decode: (own) => own.map(nameOf).join(' '),
    pieces: (own) => own.map((id) => ({ text: nameOf(id), continues: false })),
  };
}

/** Without the beginning of a character whose other bytes are in later tokens. */
function whole(text: string): string {
  return text.replace(/\uFFFD+$/, '');
}

async function tokenizer(content: object, name: string, config: object): Promise<Words> {
  const { Tokenizer } = await import('@huggingface/tokenizers');
  let own: InstanceType<typeof Tokenizer>;
  try {
    own = new Tokenizer(content, config);
  } catch (cause) {
    throw new GradcamppError(
      'INVALID_OPTION',
      `${name} is no tokenizer.json that can be read: ${messageOf(cause).replaceAll(/\s+/g, ' ')}.`,
      { cause },
    );
  }
  const named = (...keys: string[]) => {
    for (const key of keys) {
      const given = (config as Readonly<Record<string, unknown>>)[key];
      const token = typeof given === 'string' ? given : (given as { content?: string } | undefined)?.content;
      const id = token === undefined ? undefined : own.token_to_id(token);
      if (id !== undefined) return id;
    }
    return undefined;
  };
  const spelt = (ids: readonly number[]) =>
    ids.length === 0
      ? ''
      : own.decode([...ids], { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  return {
    begin: named('bos_token', 'cls_token'),
    end: named('eos_token', 'sep_token'),
    encode: (text) => [...own.encode(text, { add_special_tokens: false }).ids],
    decode: (ids) => own.decode([...ids], { skip_special_tokens: true }).trim(),
    // A piece is what it adds to the text before it: spaces and marks of parts of words depend on what is before.
    pieces: (ids) =>
      ids.map((id, t) => {
        const before = whole(spelt(ids.slice(0, t)));
        const all = whole(spelt(ids.slice(0, t + 1)));
        const added = all.startsWith(before) ? all.slice(before.length) : spelt([id]);
        const text = added.trim() || spelt([id]).trim() || (added ? '␣' : String(id));
        return { text, continues: t > 0 && !/^\s/.test(added) && !/\s$/.test(before) };
      }),
  };
}
