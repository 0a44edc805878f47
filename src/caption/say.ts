import type { ValueInfo } from '../graph/graph.js';
import { DataType } from '../onnx/types.js';
import type { Session } from '../runtime/session.js';
import { logProbabilities } from '../targets/common/log-probabilities.js';
import type { Link } from '../targets/target.js';
import { sizeOf, type Tensor } from '../tensor.js';
import type { Decoder } from './decoder.js';
import { firstSize, stateBatchAxis } from './join.js';

/** How a caption is looked for. */
export interface Search {
  readonly begin: number;
  readonly end: readonly number[];
  /** Captions that are followed at the same time; 1: the best token of every step. */
  readonly beams: number;
  /** Tokens at most. */
  readonly maxLength: number;
}

type Values = Readonly<Record<string, Tensor>>;

interface Beam {
  /** The tokens so far, the one that begins the caption first. */
  readonly ids: readonly number[];
  /** Σ log p. */
  readonly sum: number;
}

/** A caption that has ended, and what it is worth: the mean log-probability of its tokens, the one that ends it counted. */
interface Finished {
  readonly ids: readonly number[];
  readonly worth: number;
}

/**
 * The caption that the decoder says: greedily, or by beam search, which keeps the best beginnings and takes the caption of the largest
 * mean log-probability (length penalty 1). It stops where no beginning can become better than the captions that it has.
 *
 * @param encoded what the encoder gives for one picture, by the decoder's inputs
 * @returns ids without those that begin and end it
 */
export async function say(
  decoder: Decoder,
  session: Session,
  encoded: Values,
  link: Link,
  { begin, end, beams: width, maxLength }: Search,
): Promise<number[]> {
  const steps = new Steps(decoder, session, encoded);
  let beams: Beam[] = [{ ids: [begin], sum: 0 }];
  const finished: Finished[] = [];
  for (let length = 1; length <= maxLength; length++) {
    const rows = await steps.next(beams.map(({ ids }) => ids));
    const found = rows.flatMap((row, of) => bestOf(logProbabilities(row, link), 2 * width, of, beams[of]));
    const best = found.sort((a, b) => b.sum - a.sum).slice(0, 2 * width);
    const isEnd = (id: number) => end.includes(id);
    for (const [rank, { id, of, sum }] of best.entries())
      if (isEnd(id) && rank < width) finished.push({ ids: beams[of].ids.slice(1), worth: sum / length });
    finished.sort((a, b) => b.worth - a.worth).splice(width);
    const kept = best.filter(({ id }) => !isEnd(id)).slice(0, width);
    const isOver = width === 1 ? isEnd(best[0].id) : isDecided(finished, width, best[0].sum / length);
    if (isOver || kept.length === 0) break;
    steps.keep(kept.map(({ of }) => of));
    beams = kept.map(({ id, of, sum }) => ({ ids: [...beams[of].ids, id], sum }));
    if (length === maxLength)
      for (const { ids, sum } of beams) finished.push({ ids: ids.slice(1), worth: sum / length });
  }
  const [first] = finished.sort((a, b) => b.worth - a.worth);
  return [...first.ids];
}

/** Whether as many captions have ended as are followed, and the best beginning is worth no more than the worst of them. */
function isDecided(finished: readonly Finished[], width: number, best: number): boolean {
  return finished.length >= width && (finished.at(-1) as Finished).worth >= best;
}

interface Next {
  readonly id: number;
  /** The beginning that it goes on with. */
  readonly of: number;
  readonly sum: number;
}

function bestOf(logs: Float64Array, count: number, of: number, { sum }: Beam): Next[] {
  const best: Next[] = [];
  logs.forEach((log, id) => {
    const own = sum + log;
    if (best.length >= count && own <= best[best.length - 1].sum) return;
    const at = best.findIndex((other) => own > other.sum);
    best.splice(at < 0 ? best.length : at, 0, { id, of, sum: own });
    if (best.length > count) best.pop();
  });
  return best;
}

/** Runs a decoder token by token: with all tokens so far, or with the last one and the states. */
class Steps {
  readonly #decoder: Decoder;
  readonly #session: Session;
  readonly #encoded: Values;
  #states: Values | undefined;

  constructor(decoder: Decoder, session: Session, encoded: Values) {
    this.#decoder = decoder;
    this.#session = session;
    this.#encoded = encoded;
  }

  /** The scores of what comes next, for each beginning. Where the model's N is fixed they are run one by one. */
  async next(beginnings: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const { ids } = this.#decoder;
    const fixed = typeof ids.dims?.[0] === 'number';
    const groups = fixed ? beginnings.map((own) => [own]) : [beginnings];
    const rows: Float32Array[] = [];
    const states: Values[] = [];
    for (const [g, group] of groups.entries()) {
      const held = fixed ? this.#at([g]) : this.#held(group.length);
      const results = await this.#session.run({ ...this.#feeds(group), ...held });
      rows.push(...this.#rows(results, group));
      states.push(
        Object.fromEntries(this.#decoder.states.map(({ input, output }) => [input.name, results[output]])),
      );
    }
    if (this.#decoder.isStep) this.#states = joinedRows(this.#decoder, states); // others begin anew every time
    return rows;
  }

  /** Goes on with these beginnings. */
  keep(of: readonly number[]): void {
    if (this.#states) this.#states = this.#at(of);
  }

  #held(count: number): Values {
    return this.#states ?? this.#at(Array<number>(count).fill(0));
  }

  /** The states of some beginnings; at first those that the encoder gives, or zeros. */
  #at(of: readonly number[]): Values {
    const { states } = this.#decoder;
    return Object.fromEntries(
      states.map(({ input, initial }) => {
        const own = this.#states?.[input.name] ?? (initial ? this.#encoded[input.name] : zeros(input));
        const rows = this.#states ? of : of.map(() => 0);
        return [input.name, rowsOf(own, stateBatchAxis(input), rows)];
      }),
    );
  }

  #feeds(group: readonly (readonly number[])[]): Values {
    const { ids, isStep, encoded, graph } = this.#decoder;
    const [, length] = ids.dims ?? [];
    const own = group.map((tokens) => (isStep ? tokens.slice(-1) : padded(tokens, length)));
    const dims = ids.dims?.length === 1 ? [group.length] : [group.length, own[0].length];
    const names = new Set(graph.inputs.map(({ name }) => name));
    const repeated = [...encoded.keys()]
      .filter((name) => names.has(name))
      .map(
        (name) =>
          [
            name,
            rowsOf(
              this.#encoded[name],
              0,
              group.map(() => 0),
            ),
          ] as const,
      );
    return { ...Object.fromEntries(repeated), [ids.name]: tokensAs(ids, own.flat(), dims) };
  }

  #rows(results: Values, group: readonly (readonly number[])[]): Float32Array[] {
    const { logits, isStep } = this.#decoder;
    const { data, dims } = results[logits] as Tensor<'float32'>;
    const count = dims[dims.length - 1];
    const length = data.length / group.length / count;
    return group.map((tokens, n) => {
      const at = (n * length + (isStep ? 0 : tokens.length - 1)) * count;
      return data.slice(at, at + count);
    });
  }
}

/** A caption of the length that the decoder has. */
function padded(tokens: readonly number[], length: unknown): readonly number[] {
  if (typeof length !== 'number') return tokens;
  return Array.from({ length }, (_, t) => tokens[Math.min(t, tokens.length - 1)]);
}

function tokensAs({ type }: ValueInfo, ids: readonly number[], dims: readonly number[]): Tensor {
  if (type === DataType.INT32) return { type: 'int32', dims, data: Int32Array.from(ids) };
  return { type: 'int64', dims, data: BigInt64Array.from(ids, BigInt) };
}

function zeros(state: ValueInfo): Tensor {
  const { name, dims = [] } = state;
  const own = dims.map((dim, axis) => (axis === stateBatchAxis(state) ? 1 : firstSize(dim, name)));
  return { type: 'float32', dims: own, data: new Float32Array(sizeOf(own)) };
}

/** Some rows of a tensor, along an axis. */
function rowsOf(tensor: Tensor, axis: number, rows: readonly number[]): Tensor {
  const { data, dims } = tensor as Tensor<'float32'>;
  const inner = sizeOf(dims.slice(axis + 1));
  const outer = sizeOf(dims.slice(0, axis));
  const result = new Float32Array(outer * rows.length * inner);
  for (let o = 0; o < outer; o++)
    rows.forEach((row, n) => {
      const from = (o * dims[axis] + row) * inner;
      result.set(data.subarray(from, from + inner), (o * rows.length + n) * inner);
    });
  return { type: 'float32', dims: dims.with(axis, rows.length), data: result };
}

/** States of beginnings that were run one by one, or together. */
function joinedRows({ states }: Decoder, parts: readonly Values[]): Values {
  if (parts.length === 1) return parts[0];
  return Object.fromEntries(
    states.map(({ input }) => {
      const axis = stateBatchAxis(input);
      const own = parts.map((part) => part[input.name] as Tensor<'float32'>);
      const [{ dims }] = own;
      const inner = sizeOf(dims.slice(axis + 1));
      const outer = sizeOf(dims.slice(0, axis));
      const data = new Float32Array(outer * own.length * inner);
      own.forEach((tensor, n) => {
        for (let o = 0; o < outer; o++)
          data.set(tensor.data.subarray(o * inner, (o + 1) * inner), (o * own.length + n) * inner);
      });
      return [input.name, { type: 'float32', dims: dims.with(axis, own.length), data } as const];
    }),
  );
}
