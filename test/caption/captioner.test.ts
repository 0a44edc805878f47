import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CaptionNetwork } from '../../src/caption/caption-network.js';
import { readParts } from '../../src/caption/read-parts.js';
import { Captioner } from '../../src/caption/captioner.js';
import { graphOf } from '../../src/graph/from-model.js';
import { modelFile } from '../../src/graph/model-file.js';
import { readModel } from '../../src/onnx/read.js';
import { furthest } from '../targets/support.js';
import { values } from '../support/network.js';
import { encoder, mergedDecoder, stepDecoder, vocabulary, wholeDecoder } from './captioner.js';

const picture = { type: 'float32', dims: [3, 16, 16], data: values(9, [3, 16, 16]) } as const;
const open = (decoder = stepDecoder(), more = {}) =>
  Captioner.open({
    encoder: encoder(),
    decoder,
    tokenizer: vocabulary,
    backend: 'reference',
    threads: 1,
    ...more,
  });

test('what the network says, word by word, with what its decoder attends to', async () => {
  await using captioner = await open();
  const { tokens, caption } = await captioner.explain(picture, { maxLength: 5 });
  expect(tokens.length).toBeGreaterThan(0);
  expect(caption.text).toBe(tokens.map(({ token }) => token).join(' '));
  expect(caption.logProbability).toBeCloseTo(
    tokens.reduce((sum, { logProbability }) => sum + logProbability, 0),
    5,
  );
  for (const { map, attention, id, token } of tokens) {
    expect(map.dims).toEqual([16, 16]);
    expect(token).toBe(vocabulary[id]);
    expect(attention?.weights.dims).toEqual([4, 4]);
    expect(attention?.weights.data.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
  }
  expect(captioner.layers).toEqual(['features']);
});

test('the same caption given as text or ids has the same maps; one that the network would not say has maps too', async () => {
  await using captioner = await open();
  const said = await captioner.explain(picture, { maxLength: 4 });
  const { text } = said.caption;
  const ids = said.tokens.map(({ id }) => id);
  for (const given of [{ text }, { ids }, { ids: [0, ...ids] }]) {
    const again = await captioner.explain(picture, given);
    expect(again.caption).toMatchObject({ text, isGiven: true });
    for (const [t, { map, logProbability }] of again.tokens.entries()) {
      expect(logProbability).toBe(said.tokens[t].logProbability);
      expect(furthest(map.data, said.tokens[t].map.data)).toBe(0);
    }
  }
  const other = await captioner
    .explain(picture, { text: 'fish and fish', colour: 'red' } as never)
    .catch((e) => e);
  expect(other.message).toMatch(/"colour" is not an option of explain/);
  const unlikely = await captioner.explain(picture, { text: 'fish fish fish' });
  expect(unlikely.caption.logProbability).toBeLessThan(said.caption.logProbability);
});

test('attention that is no output is found inside; a decoder may take [N], and be told its states', async () => {
  const reference = await open();
  const ids = [0, 2, 3, 4];
  const expected = await reference.explain(picture, { ids });
  await reference.close();
  for (const [decoder, more] of [
    [stepDecoder({ hasAttention: false }), {}],
    [stepDecoder({ rank: 1 }), {}],
    [stepDecoder({ state: ['memory', 'after'] }), { state: { memory: 'after' } }],
  ] as const) {
    await using captioner = await open(decoder, more);
    const { tokens } = await captioner.explain(picture, { ids });
    const isZero = 'state' in more; // no output of the encoder is called like it, so it begins with zeros
    for (const [t, { attention, map }] of tokens.entries()) {
      if (isZero) expect(furthest(map.data, expected.tokens[t].map.data)).toBeGreaterThan(1e-3);
      else {
        expect(furthest(map.data, expected.tokens[t].map.data)).toBeLessThan(1e-5);
        expect(furthest(attention?.data ?? [], expected.tokens[t].attention?.data ?? [])).toBeLessThan(1e-5);
      }
    }
  }
});

test('a merged decoder is explained without what is stored, as the plain one', async () => {
  await using plain = await open(wholeDecoder());
  await using merged = await open(mergedDecoder());
  for (const ids of [
    [0, 2, 3, 4, 1],
    [0, 6],
  ]) {
    const [a, b] = [await plain.explain(picture, { ids }), await merged.explain(picture, { ids })];
    expect(b.caption.logProbability).toBe(a.caption.logProbability);
    for (const [t, { map }] of b.tokens.entries()) expect(furthest(map.data, a.tokens[t].map.data)).toBe(0);
    expect(a.tokens[0].attention).toBeUndefined();
  }
  const said = await Promise.all(
    [plain, merged].map((captioner) => captioner.explain(picture, { beams: 3, maxLength: 6 })),
  );
  expect(said[1].caption.text).toBe(said[0].caption.text);
});

test('the layer is one of the encoder, though the decoder has a later one', async () => {
  await using captioner = await open(wholeDecoder({ hasLayer: true }));
  expect(captioner.layers).toEqual(['features']);
  await using named = await open(wholeDecoder({ hasLayer: true }), { layer: 'decoder/own' });
  expect(named.layers).toEqual(['decoder/own']);
});

test('a layer that moved to the encoder was still chosen automatically', async () => {
  const options = { encoder: encoder(), decoder: wholeDecoder({ hasLayer: true }), tokenizer: vocabulary };
  for (const [layer, isAutomatic] of [
    [undefined, true],
    ['features', false],
  ] as const) {
    const parts = await readParts({ ...options, backend: 'reference', threads: 1, layer });
    const { explainer, layerIsAutomatic } = await CaptionNetwork.open(parts, 1);
    expect([explainer.layers, layerIsAutomatic]).toEqual([['features'], isAutomatic]);
    await explainer.close();
  }
});

test('a decoder that reads a whole caption begins with the state of the encoder', async () => {
  await using plain = await open(wholeDecoder());
  await using captioner = await open(wholeDecoder({ hasState: true }));
  const ids = [0, 2, 3];
  const [a, b] = [await plain.explain(picture, { ids }), await captioner.explain(picture, { ids })];
  expect(Math.abs(a.caption.logProbability - b.caption.logProbability)).toBeGreaterThan(1e-3);
  const said = await captioner.explain(picture, { maxLength: 4, beams: 3 });
  const again = await captioner.explain(picture, { ids: [0, ...said.tokens.map(({ id }) => id)] });
  expect(again.caption.logProbability).toBeCloseTo(said.caption.logProbability, 6);
});

test('networks that were exported for one picture, and for captions of one length', async () => {
  const fixed = async (bytes: Uint8Array, length?: number) => {
    const graph = graphOf(await readModel(bytes));
    const sizes = new Map<unknown, number>([['N', 1], ...(length ? [['length', length] as const] : [])]);
    const inputs = graph.inputs.map((info) => ({
      ...info,
      dims: info.dims?.map((dim) => sizes.get(dim) ?? dim),
    }));
    return modelFile({ ...graph, inputs, values: new Map() }).toBytes();
  };
  for (const [decoder, length] of [
    [stepDecoder(), undefined],
    [wholeDecoder({ hasState: true }), undefined],
    [wholeDecoder(), 6],
  ] as const) {
    await using plain = await open(decoder);
    const one = { encoder: await fixed(encoder()), decoder: await fixed(decoder, length) };
    await using captioner = await Captioner.open({ ...one, tokenizer: vocabulary, backend: 'reference' });
    for (const own of [{ ids: [0, 2, 3, 4] }, { beams: 3, maxLength: 5 }]) {
      const [a, b] = [await plain.explain(picture, own), await captioner.explain(picture, own)];
      expect(b.caption.text).toBe(a.caption.text);
      expect(b.caption.logProbability).toBeCloseTo(a.caption.logProbability, 5);
      for (const [t, { map }] of b.tokens.entries())
        expect(furthest(map.data, a.tokens[t].map.data)).toBeLessThan(1e-5);
    }
    if (length === undefined) continue;
    await expect(captioner.explain(picture, { ids: [0, 2, 2, 2, 2, 2, 2, 2] })).rejects.toThrow(
      /at most 6 tokens/,
    );
  }
});

test('any method at any layer of the encoder; networks of more lengths than are kept open', async () => {
  await using captioner = await open(stepDecoder(), { layer: 'relu1' });
  const methods = ['grad-cam', 'layer-cam', 'saliency', 'ablation-cam'] as const;
  for (let length = 1; length <= 6; length++) {
    const ids = [0, ...Array.from({ length }, (_, t) => 2 + (t % 5))];
    const { tokens, caption } = await captioner.explain(picture, {
      ids,
      method: length === 2 ? methods : 'grad-cam',
    });
    expect(tokens).toHaveLength(length);
    if (length === 2) expect(caption.methods.map(({ method }) => method)).toEqual(methods);
  }
});

test('all maps of a caption take one forward pass, and one backward pass of all tokens and the caption together', async () => {
  const parts = await readParts({
    encoder: encoder(),
    decoder: stepDecoder(),
    begin: 0,
    backend: 'reference',
  });
  const network = await CaptionNetwork.open(parts, 3);
  const { explainer } = network;
  const counts = { opened: 0, forward: 0, backward: 0 };
  const open = explainer.network.differentiator.bind(explainer.network);
  explainer.network.differentiator = async (...args) => {
    counts.opened++;
    const passes = await open(...args);
    return {
      ...passes,
      forward: (feeds) => (counts.forward++, passes.forward(feeds)),
      backward: () => expect.unreachable(),
      backwardEach: (forward, seeds) => (
        (counts.backward += seeds.length), passes.backwardEach(forward, seeds)
      ),
    };
  };
  const [prepared] = await explainer.prepare(picture);
  const targets = { kind: 'caption', ids: [2, 3, 4] } as const;
  const method = ['grad-cam++', 'grad-cam', 'layer-cam'] as const;
  const { explanation } = await network.explain(prepared, [0, 2, 3], { targets, method });
  expect(explanation.targets).toHaveLength(4 * 3);
  expect(counts).toEqual({ opened: 1, forward: 1, backward: 4 });
  await explainer.close();
});

const folder = mkdtempSync(join(tmpdir(), 'gradcampp-captioner-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('what is wrong is said in a sentence', async () => {
  const refused = async (options: object, given: object, words: RegExp) => {
    const attempt = async () => {
      await using captioner = await Captioner.open({
        encoder: encoder(),
        decoder: stepDecoder(),
        ...options,
      });
      return captioner.explain(picture, given);
    };
    await expect(attempt()).rejects.toThrow(words);
  };
  await refused({ encoder: undefined }, {}, /"encoder" \(--encoder\) is missing: give an ONNX file/);
  await refused({}, {}, /Which token begins a caption is not known: say its id as "begin" \(--begin ID\)/);
  await refused({ begin: 0 }, {}, /Which token ends a caption is not known/);
  await refused({}, { ids: [1] }, /"ids" must be at least two ids/);
  await refused({ begin: 0 }, { ids: [9] }, /"ids" must be ids below 7, the number of tokens .*; received 9/);
  await refused(
    { tokenizer: [...vocabulary, 'zebra'] },
    { text: 'a zebra' },
    /"text" must be of tokens .* ids below 7; received "zebra"\. Its id is 7: the tokenizer may be another decoder's\./,
  );
  await refused({ begin: 0 }, { text: 'a cup' }, /"text" \(--text\) needs a tokenizer/);
  await refused({ begin: 0 }, { text: 'a cup', ids: [2] }, /"text" and "ids" exclude each other/);
  await refused({ tokenizer: vocabulary }, { text: 'a cat' }, /received "cat"/);
  await refused({ tokenizer: vocabulary.slice(0, 3) }, { ids: [0, 5] }, /a token for every id; it has 3/);
  await refused(
    { state: { h: 'nothing' } },
    { ids: [0, 1] },
    /"state" must pair an input of the decoder with an output/,
  );
  await refused({ decoder: encoder() }, { ids: [0, 1] }, /must take the ids of tokens, whole numbers/);
  await using captioner = await open();
  await expect(captioner.explain({ ...picture, dims: [2, 3, 16, 8] as never })).rejects.toThrow(
    /must have dims/,
  );
  await captioner.close();
  await expect(captioner.explain(picture)).rejects.toThrow(/The captioner is closed/);
});

test('a decoder that goes on with what another has stored: the one beside it is explained, or it is refused', async () => {
  const { graphFrom } = await import('../support/network.js');
  const { DataType } = await import('../../src/onnx/types.js');
  const withPast = graphFrom({
    inputs: { input_ids: ['N', 1], 'past_key_values.0.encoder.key': ['N', 1, 'T', 7] },
    types: { input_ids: DataType.INT64 },
    outputs: ['logits'],
    nodes: [['ReduceSum', ['past_key_values.0.encoder.key'], ['logits'], { keepdims: 1 }]],
  });
  const [front, behind] = [join(folder, 'encoder_model.onnx'), join(folder, 'decoder_with_past_model.onnx')];
  writeFileSync(front, encoder());
  writeFileSync(behind, modelFile(withPast).toBytes());
  const files = { encoder: front, decoder: behind, begin: 0 };
  await expect(Captioner.open(files)).rejects.toThrow(/Give the one without past, decoder_model\.onnx/);
  writeFileSync(join(folder, 'decoder_model.onnx'), wholeDecoder());
  await using captioner = await Captioner.open(files);
  expect(captioner.notes.join()).toMatch(/which lies beside it and says the same, is explained/);
  const { tokens } = await captioner.explain(picture, { ids: [2, 3] });
  expect(tokens).toHaveLength(2);
});

test('a decoder that is larger than the encoder is no reason to advise another layer', async () => {
  const files = ['encoder_model.onnx', 'decoder_model.onnx', 'vocabulary.json'];
  const [front, behind, tokenizer] = files.map((name) => join('assets', 'captioner', name));
  await using embedded = await Captioner.open({ encoder: front, decoder: behind, tokenizer });
  expect(embedded.layers).toEqual(['features']);
  expect(embedded.notes).toEqual([]);
});
