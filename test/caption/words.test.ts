import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { limitsBeside, readWords } from '../../src/caption/read-parts.js';
import { idsAlone } from '../../src/caption/words.js';

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-words-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const list = ['<pad>', '<start>', '<end>', 'a', 'red', 'apple', '.'];

test.each([
  ['a list of tokens', list],
  ['ids by token', Object.fromEntries(list.map((token, id) => [token, id]))],
  ['tokens by id', Object.fromEntries(list.map((token, id) => [id, token]))],
])('a vocabulary as %s', async (_, content) => {
  const words = await readWords(file('vocabulary.json', content));
  expect(words.encode('A red apple.')).toEqual([3, 4, 5, 6]);
  expect(words.decode([3, 4, 5])).toBe('a red apple');
  expect(words.pieces([4, 5])).toEqual([
    { text: 'red', continues: false },
    { text: 'apple', continues: false },
  ]);
  expect([words.begin, words.end]).toEqual([1, 2]);
  expect(() => words.encode('a red appel')).toThrow(/received "appel"\. Closest: "apple"/);
  expect(() => words.decode([7])).toThrow(/has 7, and the id 7 was said/);
});

/** Words of parts, as BERT's and BLIP's are. */
const parts = {
  version: '1.0',
  added_tokens: [
    { id: 0, content: '[CLS]', special: true },
    { id: 1, content: '[SEP]', special: true },
  ],
  normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: null,
  decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
  model: {
    type: 'WordPiece',
    unk_token: '[CLS]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: { '[CLS]': 0, '[SEP]': 1, two: 2, app: 3, '##les': 4 },
  },
};

test('a tokenizer.json, whose words may be of several tokens', async () => {
  file('tokenizer_config.json', { cls_token: '[CLS]', sep_token: { content: '[SEP]' } });
  const words = await readWords(file('tokenizer.json', parts));
  expect(words.encode('Two apples')).toEqual([2, 3, 4]);
  expect(words.decode([2, 3, 4])).toBe('two apples');
  expect(words.pieces([2, 3, 4])).toEqual([
    { text: 'two', continues: false },
    { text: 'app', continues: false },
    { text: 'les', continues: true },
  ]);
  expect([words.begin, words.end]).toEqual([0, 1]);
});

test('tokens that are bytes: a character of several is spelt by the token that completes it', async () => {
  const vocab = { n: 0, a: 1, Ã: 2, '¯': 3, v: 4, e: 5, Ġ: 6 };
  const bytes = {
    ...parts,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab, merges: [], unk_token: null },
  };
  const words = await readWords(file('bytes.json', bytes));
  const ids = [0, 1, 2, 3, 4, 5, 6, 1];
  expect(words.encode('naïve a')).toEqual(ids);
  expect(words.decode(ids)).toBe('naïve a');
  const pieces = words.pieces(ids).map(({ text, continues }) => (continues ? `+${text}` : text));
  expect(pieces.toSpliced(2, 1)).toEqual(['n', '+a', '+ï', '+v', '+e', '␣', 'a']);
});

test('what is no vocabulary is refused in a sentence', async () => {
  await expect(readWords(join(folder, 'none.json'))).rejects.toThrow(/none\.json" cannot be read/);
  await expect(readWords(file('bad.json', '{'))).rejects.toThrow(/bad\.json" is not JSON/);
  await expect(readWords(file('other.json', { a: 'b' }))).rejects.toThrow(
    /must be a tokenizer\.json of Hugging Face, a JSON list of tokens/,
  );
  expect(() => idsAlone.encode('a cat')).toThrow(/"text" \(--text\) needs a tokenizer/);
  expect(idsAlone.decode([4, 5])).toBe('4 5');
});

test('what begins and ends captions is read beside the model', async () => {
  const model = join(folder, 'encoder_model.onnx');
  expect(await limitsBeside(model)).toEqual({ begin: undefined, end: [], maxLength: undefined });
  file('config.json', { decoder: { bos_token_id: 5, eos_token_id: 6, max_length: 20 } });
  expect(await limitsBeside(model)).toEqual({ begin: 5, end: [6], maxLength: 19 });
  file('generation_config.json', {
    decoder_start_token_id: 7,
    bos_token_id: 5,
    eos_token_id: [8, 9],
    max_new_tokens: 12,
  });
  expect(await limitsBeside(model)).toEqual({ begin: 7, end: [8, 9], maxLength: 12 });
  file('config.json', {
    model_type: 'blip',
    text_config: { bos_token_id: 30522, eos_token_id: 2, sep_token_id: 102 },
  });
  file('generation_config.json', {});
  expect(await limitsBeside(join(folder, 'onnx', 'encoder_model.onnx'))).toMatchObject({
    begin: 30522,
    end: [102],
  });
});
