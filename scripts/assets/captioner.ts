import type { Builder, Name } from '../../src/graph/builder.js';
import type { Dim, Graph, ValueInfo } from '../../src/graph/graph.js';
import { type Constant, floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { Trainer } from '../../src/train/trainer.js';
import { type Drawn, fit, imagesOf, type Recipe } from './fit.js';
import { inputSize, Layers, trunkChannels, trunkConvolutions } from './network.js';
import { Random } from './random.js';
import type { Scene } from './scene.js';
import { begin, end, longest, vocabulary } from './sentence.js';

export interface CaptionerRecipe extends Recipe {
  /** Weight of the mean of the last activations in the loss: light up only where it helps. */
  readonly activationPenalty: number;
  /** Whether it learns to add up what it sees; else that stays 0. */
  readonly counts: boolean;
}

const channels = 64;
const side = inputSize / 8;
const trunkStart = trunkConvolutions.map((own, i) => (i === 2 ? { ...own, stride: 2 } : own));
const last = { inputs: trunkChannels, outputs: channels, kernel: 3 };
/** Edges and colours are known from the classifier, and stay as they are. */
const kept = /^conv[12]\./;
/** From what is added up to the hidden values: 0 until the captioner learns to count. */
const counted = 'counted.weight';
/** Places that attention chooses among: 12 × 12. */
export const positions = side * side;
const embedded = 24;
export const stateSize = 72;
const query = 32;
const words = vocabulary.length;
/** The encoder's last activation, the layer that is explained. */
export const captionedActivation = 'relu5';

/** The two files of a captioner, and the graph by which both are trained. */
export interface Captioner {
  readonly encoder: Graph;
  readonly decoder: Graph;
}

/**
 * The captioner, untrained, as it is trained: pictures and the words that were said so far (teacher forcing) to the scores of every
 * next word, the decoder's steps one after the other. The encoder is the classifier's trunk, from the third convolution on at half its
 * size, and one more.
 */
export function untrainedCaptioner(seed: number): Graph {
  const b = new Layers(seed);
  const features = encode(b);
  const decoder = new Decoder(b, features);
  const said = b.op('Gather', [decoder.embedding, 'words']);
  let state = b.op('ConstantOfShape', [
    b.op('Concat', [batchOf(b, features), b.ints([stateSize])], { axis: 0 }),
  ]);
  const states: Name[] = [];
  for (let t = 0; t < longest; t++) {
    state = decoder.next(b.op('Gather', [said, b.int(t)], { axis: 1 }), state);
    states.push(b.op('Unsqueeze', [state, b.ints([1])]));
  }
  const { logits } = decoder.say(b.op('Concat', states, { axis: 1 }));
  b.copy(logits, 'logits');
  return graphOf(
    b,
    'captioner',
    [info('pixel_values', ['N', 3, inputSize, inputSize]), info('words', ['N', longest], DataType.INT64)],
    [info('logits', ['N', longest, words])],
  );
}

/** The encoder and one step of the decoder, with the weights of a graph that was trained. */
export function captionerOf({ constants }: Graph): Captioner {
  const b = new Layers(0);
  b.copy(encode(b), 'last_hidden_state');
  const encoder = graphOf(
    b,
    'encoder',
    [info('pixel_values', ['N', 3, inputSize, inputSize])],
    [info('last_hidden_state', ['N', positions, channels])],
  );
  const d = new Layers(0);
  const step = new Decoder(d, 'encoder_hidden_states');
  const word = d.op('Squeeze', [d.op('Gather', [step.embedding, 'input_ids']), d.ints([1])]);
  const state = step.next(word, 'state');
  const { logits, attention } = step.say(d.op('Unsqueeze', [state, d.ints([1])]));
  d.copy(logits, 'logits');
  d.op('Squeeze', [attention, d.ints([1])], {}, 'attention');
  d.copy(state, 'next_state');
  const decoder = graphOf(
    d,
    'decoder',
    [
      info('input_ids', ['N', 1], DataType.INT64),
      info('encoder_hidden_states', ['N', positions, channels]),
      info('state', ['N', stateSize]),
    ],
    [
      info('logits', ['N', 1, words]),
      info('attention', ['N', positions]),
      info('next_state', ['N', stateSize]),
    ],
  );
  for (const graph of [b, d])
    for (const name of weightsOfCaptioner(graph)) graph.constants.set(name, constants.get(name) as Constant);
  return { encoder, decoder };
}

/** [N, positions, channels] */
function encode(b: Layers): Name {
  const map = b.trunk('pixel_values', [...trunkStart, last]);
  return b.op('Transpose', [b.reshape(map, [0, channels, positions])], { perm: [0, 2, 1] }, 'features');
}

/**
 * Says words by a gated recurrent unit (Cho et al., arXiv 1406.1078) that looks at the picture by soft attention (Xu et al., "Show,
 * attend and tell", arXiv 1502.03044), from its present state (Lu et al., arXiv 1612.01887, Sec. 2.2). It reads the last word and the
 * mean of the features; its first state is 0. Means cannot tell two apples from one: beside what it looks at, it adds up the features
 * of all places that answer a second query.
 */
class Decoder {
  readonly embedding = 'embedding.weight';
  readonly #b: Layers;
  readonly #features: Name;
  readonly #keys: Name;
  readonly #mean: Name;
  readonly #weights: Readonly<
    Record<'input' | 'state' | 'query' | 'tally' | 'hidden' | 'word', readonly [Name, Name]>
  >;

  constructor(b: Layers, features: Name) {
    this.#b = b;
    this.#features = features;
    b.weights('embedding', [words, embedded]);
    b.constants.delete('embedding.bias');
    const [keys] = b.weights('keys', [channels, query]);
    b.constants.delete('keys.bias');
    this.#weights = {
      input: b.weights('gru.input', [3 * stateSize, embedded + channels]),
      state: b.weights('gru.state', [3 * stateSize, stateSize]),
      query: b.weights('query', [query, stateSize]),
      hidden: b.weights('hidden', [2 * query, stateSize + channels]),
      word: b.weights('word', [words, 2 * query]),
      tally: b.weights('tally', [query, stateSize]),
    };
    b.constants.set(counted, floatConstant(new Float32Array(2 * query * channels), [channels, 2 * query]));
    this.#keys = b.transpose(b.op('MatMul', [features, keys]), [0, 2, 1]);
    this.#mean = b.reduceMean(features, [1], 0);
  }

  /** The next state [N, state] after a word [N, embedded]. */
  next(word: Name, state: Name): Name {
    const b = this.#b;
    const read = b.op('Concat', [word, this.#mean], { axis: 1 });
    const [x, h] = [
      b.op('Gemm', [read, ...this.#weights.input], { transB: 1 }),
      b.op('Gemm', [state, ...this.#weights.state], { transB: 1 }),
    ];
    const thirds = (value: Name) => b.ops('Split', [value], 3, { axis: 1, num_outputs: 3 });
    const [[updateX, resetX, newX], [updateH, resetH, newH]] = [thirds(x), thirds(h)];
    const update = b.op('Sigmoid', [b.add(updateX, updateH)]);
    const reset = b.op('Sigmoid', [b.add(resetX, resetH)]);
    const candidate = b.op('Tanh', [b.add(newX, b.mul(reset, newH))]);
    return b.add(candidate, b.mul(update, b.sub(state, candidate)));
  }

  /** From states [N, T, state]: scores of words [N, T, words] and where the decoder looks, [N, T, positions]. */
  say(states: Name): { readonly logits: Name; readonly attention: Name } {
    const b = this.#b;
    const match = (name: 'query' | 'tally') =>
      b.scale(b.op('MatMul', [this.#linear(states, name), this.#keys]), 1 / Math.sqrt(query));
    const attention = b.op('Softmax', [match('query')], { axis: 2 });
    const seen = b.op('MatMul', [attention, this.#features]);
    const answers = b.op('Sigmoid', [b.sub(match('tally'), b.scalar(2))]);
    const tally = b.scale(b.op('MatMul', [answers, this.#features]), 1 / 16);
    const read = this.#linear(b.op('Concat', [states, seen], { axis: 2 }), 'hidden');
    const hidden = b.op('Tanh', [b.add(read, b.op('MatMul', [tally, counted]))]);
    return { logits: this.#linear(hidden, 'word'), attention };
  }

  #linear(value: Name, name: 'query' | 'tally' | 'hidden' | 'word'): Name {
    const [weight, bias] = this.#weights[name];
    return this.#b.add(this.#b.op('MatMul', [value, this.#b.transpose(weight, [1, 0])]), bias);
  }
}

const batchOf = (b: Builder, value: Name) => b.op('Shape', [value], { start: 0, end: 1 });

function info(name: Name, dims: readonly Dim[], type = DataType.FLOAT): ValueInfo {
  return { name, type, dims };
}

function graphOf(
  { nodes, constants }: Builder,
  name: string,
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
): Graph {
  return {
    name,
    opset: 18,
    domains: new Map(),
    inputs,
    outputs,
    nodes,
    constants,
    values: new Map(),
    metadata: new Map(),
  };
}

/** What is learned: all matrices, kernels and biases. */
export function weightsOfCaptioner({ constants }: Pick<Graph, 'constants'>): Name[] {
  return [...constants.keys()].filter((name) => /\.(weight|bias)$/.test(name));
}

/** Trains on sentences alone, by the log-probability of their words; the same recipe gives the same weights on one machine. */
export async function trainCaptioner(
  untrained: Graph,
  examples: readonly Scene[],
  recipe: CaptionerRecipe,
  report: (line: string) => void,
): Promise<Graph> {
  const loss = (b: Builder) => {
    const said = b.mul('next', b.op('LogSoftmax', ['logits'], { axis: 2 }));
    const sum = b.op('ReduceSum', [said], { keepdims: 0 });
    const count = b.op('ReduceSum', ['next'], { keepdims: 0 });
    const lit = b.op('ReduceMean', [captionedActivation], { keepdims: 0 });
    return b.add(b.neg(b.div(sum, count)), b.scale(lit, recipe.activationPenalty));
  };
  const trainer = await Trainer.open(untrained, {
    weights: weightsOfCaptioner(untrained).filter(
      (name) => !kept.test(name) && (recipe.counts || !/^(tally|counted)\./.test(name)),
    ),
    inputs: [info('next', ['N', longest, words])],
    loss,
    threads: 1,
  });
  const feedsOf = (drawn: readonly Drawn[]) => ({
    pixel_values: imagesOf(examples, drawn),
    ...sentencesOf(examples, drawn),
  });
  await fit(trainer, recipe, feedsOf, new Random(recipe.seed), report);
  return trainer.trained();
}

/** What was said before each word, and each word with the end as one-hot rows; rows behind the end are 0. */
export function sentencesOf(examples: readonly Scene[], drawn: readonly Drawn[]) {
  const said = new BigInt64Array(drawn.length * longest).fill(BigInt(vocabulary.indexOf(end)));
  const next = new Float32Array(drawn.length * longest * words);
  for (const [n, { index }] of drawn.entries()) {
    const tokens = [begin, ...examples[index].words, end].map((word) => vocabulary.indexOf(word));
    for (let t = 0; t + 1 < tokens.length; t++) {
      said[n * longest + t] = BigInt(tokens[t]);
      next[(n * longest + t) * words + tokens[t + 1]] = 1;
    }
  }
  return {
    words: { type: 'int64', dims: [drawn.length, longest], data: said },
    next: { type: 'float32', dims: [drawn.length, longest, words], data: next },
  } as const;
}
