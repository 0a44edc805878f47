import type { Graph } from '../../src/graph/graph.js';
import { openSession, type Session } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';
import { type Captioner, stateSize } from './captioner.js';
import { end, longest, vocabulary } from './sentence.js';

/** Both files of a captioner, run on many pictures at once. */
export class Speaker {
  readonly #encoder: Session;
  readonly #decoder: Session;

  private constructor(encoder: Session, decoder: Session) {
    this.#encoder = encoder;
    this.#decoder = decoder;
  }

  static async open({ encoder, decoder }: Captioner): Promise<Speaker> {
    const open = (graph: Graph) => openSession(graph, { threads: 1 });
    return new Speaker(await open(encoder), await open(decoder));
  }

  /** What the captioner says of each picture by itself, without the end. */
  async say(pictures: Tensor): Promise<string[][]> {
    const said: string[][] = Array.from({ length: pictures.dims[0] }, () => []);
    await this.#run(
      pictures,
      (i, t) => said[i][t - 1] ?? end,
      (i, _, scores) => said[i].push(best(scores)),
    );
    return said.map((words) => words.slice(0, (words.indexOf(end) + 1 || longest + 1) - 1));
  }

  /** The scores of every next word of each picture, along a sentence: [picture][place] of vocabulary. */
  async along(pictures: Tensor, sentences: readonly (readonly string[])[]): Promise<Float32Array[][]> {
    const rows: Float32Array[][] = sentences.map(() => []);
    await this.#run(
      pictures,
      (i, t) => sentences[i][t - 1] ?? end,
      (i, _, scores) => rows[i].push(scores),
    );
    return rows;
  }

  async close(): Promise<void> {
    await Promise.all([this.#encoder.close(), this.#decoder.close()]);
  }

  async #run(
    pictures: Tensor,
    lastOf: (picture: number, place: number) => string,
    take: (picture: number, place: number, scores: Float32Array) => void,
  ): Promise<void> {
    const [count] = pictures.dims;
    const { last_hidden_state: features } = await this.#encoder.run({ pixel_values: pictures });
    let state: Tensor = {
      type: 'float32',
      dims: [count, stateSize],
      data: new Float32Array(count * stateSize),
    };
    for (let t = 0; t < longest; t++) {
      const last = Array.from({ length: count }, (_, i) => (t === 0 ? 0 : vocabulary.indexOf(lastOf(i, t))));
      const { logits, next_state } = await this.#decoder.run({
        input_ids: { type: 'int64', dims: [count, 1], data: BigInt64Array.from(last, BigInt) },
        encoder_hidden_states: features,
        state,
      });
      state = next_state;
      const size = vocabulary.length;
      for (let i = 0; i < count; i++)
        take(i, t, (logits.data as Float32Array).slice(i * size, (i + 1) * size));
    }
  }
}

/** The likeliest word. */
export function best(scores: Float32Array): string {
  return vocabulary[scores.indexOf(Math.max(...scores))];
}
