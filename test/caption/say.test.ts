import { expect, test } from 'vitest';
import type { Decoder } from '../../src/caption/decoder.js';
import { say } from '../../src/caption/say.js';
import { DataType } from '../../src/onnx/types.js';
import type { Session } from '../../src/runtime/session.js';
import { randomNumbers } from '../map/random.js';

const [begin, end, count] = [0, 1, 5];

/** A decoder whose next token depends on the last two, with seeded scores; and how often it was run. */
function chain(seed: number): {
  decoder: Decoder;
  session: Session;
  scores: (ids: readonly number[]) => Float32Array;
} {
  const scores = (ids: readonly number[]) => {
    const [a, b] = [ids.at(-2) ?? 7, ids.at(-1) as number];
    const next = randomNumbers(seed * 1000 + a * 31 + b * 7 + 1);
    for (let i = 0; i < 5; i++) next();
    return Float32Array.from({ length: count }, () => 4 * next());
  };
  const ids = { name: 'input_ids', type: DataType.INT64, dims: ['N', 'L'] };
  const decoder = {
    ids,
    isStep: false,
    encoded: new Map(),
    states: [],
    logits: 'logits',
    attention: [],
    graph: { inputs: [ids] },
  } as unknown as Decoder;
  const session = {
    outputs: [],
    run: async ({ input_ids: { data, dims } }: Record<string, { data: BigInt64Array; dims: number[] }>) => {
      const [N, L] = dims;
      const out = new Float32Array(N * L * count);
      for (let n = 0; n < N; n++)
        for (let t = 0; t < L; t++)
          out.set(scores(Array.from(data.subarray(n * L, n * L + t + 1), Number)), (n * L + t) * count);
      return { logits: { type: 'float32', dims: [N, L, count], data: out } };
    },
    close: async () => {},
  } as unknown as Session;
  return { decoder, session, scores };
}

function logs(values: Float32Array): number[] {
  const sum = values.reduce((total, value) => total + Math.exp(value), 0);
  return Array.from(values, (value) => value - Math.log(sum));
}

test('one beam takes the best token of every step, until one ends the caption', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { decoder, session, scores } = chain(seed);
    const expected: number[] = [begin];
    while (expected.length <= 6) {
      const own = logs(scores(expected));
      const best = own.indexOf(Math.max(...own));
      if (best === end) break;
      expected.push(best);
    }
    const said = await say(decoder, session, {}, 'softmax', { begin, end: [end], beams: 1, maxLength: 6 });
    expect(said).toEqual(expected.slice(1));
  }
});

test('as many beams as there are beginnings find the caption of the largest mean log-probability', async () => {
  const maxLength = 3;
  for (let seed = 1; seed <= 20; seed++) {
    const { decoder, session, scores } = chain(seed);
    let best = { ids: [] as number[], worth: Number.NEGATIVE_INFINITY };
    const visit = (ids: readonly number[], sum: number) => {
      const length = ids.length; // tokens with the one that comes next
      for (const [id, log] of logs(scores(ids)).entries()) {
        const worth = (sum + log) / length;
        if (id === end || length === maxLength) {
          if (worth > best.worth) best = { ids: [...ids.slice(1), ...(id === end ? [] : [id])], worth };
        } else visit([...ids, id], sum + log);
      }
    };
    visit([begin], 0);
    const said = await say(decoder, session, {}, 'softmax', { begin, end: [end], beams: 64, maxLength });
    expect(said).toEqual(best.ids);
  }
});
