import { mean } from '../../src/evaluate/statistics.js';
import { openSession } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';
import { type Captioner, stateSize } from './captioner.js';
import { imagesOf } from './fit.js';
import type { Scene } from './scene.js';
import { begin, end, longest, vocabulary, type WordClass, wordClasses } from './sentence.js';

/** How well a captioner speaks of scenes; shares are 0…1. */
export interface CaptionFigures {
  readonly pictures: number;
  /** Share of words that are the likeliest after the sentence's words before them. */
  readonly words: Readonly<Record<WordClass | 'all', number>>;
  /** Share of pictures of which the captioner says the sentence, word for word, by itself. */
  readonly sentences: number;
  /** Share of the sentences' groups that it says by itself, with count, colour and kind right. */
  readonly groups: number;
  /** What it says by itself. */
  readonly said: readonly (readonly string[])[];
}

/** Runs both files on scenes that are drawn at the size of the network: once along each sentence, once by its own words. */
export async function captionFigures(
  { encoder, decoder }: Captioner,
  scenes: readonly Scene[],
): Promise<CaptionFigures> {
  const sessions = [await openSession(encoder, { threads: 1 }), await openSession(decoder, { threads: 1 })];
  const drawn = scenes.map((_, index) => ({ index, isMirrored: false }));
  const { last_hidden_state: features } = await sessions[0].run({ pixel_values: imagesOf(scenes, drawn) });
  const truth = scenes.map(({ words }) => [...words, end]);

  const walk = async (isForced: boolean): Promise<string[][]> => {
    const said: string[][] = scenes.map(() => []);
    let state: Tensor = zeros([scenes.length, stateSize]);
    for (let t = 0; t < longest; t++) {
      const last = (i: number) => (t === 0 ? begin : ((isForced ? truth : said)[i][t - 1] ?? end));
      const ids = BigInt64Array.from(scenes, (_, i) => BigInt(vocabulary.indexOf(last(i))));
      const { logits, next_state } = await sessions[1].run({
        input_ids: { type: 'int64', dims: [scenes.length, 1], data: ids },
        encoder_hidden_states: features,
        state,
      });
      state = next_state;
      for (const [i, words] of said.entries()) words.push(vocabulary[bestOf(logits, i)]);
    }
    return said;
  };

  const forced = await walk(true);
  const free = (await walk(false)).map((words) =>
    words.slice(0, (words.indexOf(end) + 1 || longest + 1) - 1),
  );
  await Promise.all(sessions.map((session) => session.close()));
  const right = (of: readonly string[] | undefined) =>
    mean(
      truth.flatMap((words, i) =>
        words.flatMap((word, t) =>
          of === undefined || of.includes(word) ? [Number(forced[i][t] === word)] : [],
        ),
      ),
    );
  const shares = Object.entries(wordClasses).map(([name, own]) => [name, right(own)] as const);
  return {
    pictures: scenes.length,
    words: { ...(Object.fromEntries(shares) as Record<WordClass, number>), all: right(undefined) },
    sentences: mean(free.map((words, i) => Number(words.join(' ') === scenes[i].words.join(' ')))),
    groups: mean(
      scenes.flatMap(({ words }, i) => groupsIn(words).map((g) => Number(groupsIn(free[i]).includes(g)))),
    ),
    said: free,
  };
}

/** "two red apples", "a blue cup". */
function groupsIn(words: readonly string[]): string[] {
  return words.slice(0, -2).join(' ').split(' and ');
}

function bestOf({ data, dims }: Tensor, row: number): number {
  const count = dims[dims.length - 1];
  const scores = Array.from(data.subarray(row * count, (row + 1) * count) as Float32Array);
  return scores.indexOf(Math.max(...scores));
}

function zeros(dims: readonly [number, number]): Tensor<'float32'> {
  return { type: 'float32', dims, data: new Float32Array(dims[0] * dims[1]) };
}
