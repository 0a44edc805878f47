import type { Rule } from '../autodiff/rule.js';
import type { Evidence, LayerValues, RandomNumbers } from '../methods/evidence.js';
import { random } from '../random-stream.js';
import type { Goal, Row } from '../targets/target.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { type Head, headFeeds, openHead, openSecondOrder } from './head.js';
import type { Network } from './network.js';
import type { Differentiator, Forward, Passes } from './passes.js';
import { rowsOf } from './rows.js';
import type { Scores } from '../graph/scores.js';

/** A batch whose forward pass is done: what every target and method shares. */
export interface Batch {
  readonly network: Network;
  readonly scores: Scores;
  readonly passes: Passes;
  readonly forward: Forward;
  /** N: pictures of the batch, and those that fill it up where the model's N is fixed. */
  readonly images: number;
  readonly names: readonly string[];
  readonly input: Tensor<'float32'>;
  readonly rows: readonly Row[];
  readonly size: readonly number[];
  readonly channelAxis: number;
  /** Feeds of the other inputs for the whole batch, and for one picture as often as it is asked. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly feedsOf: (image: number, count: number) => Readonly<Record<string, Tensor>>;
  /** Changed pictures in one pass. */
  readonly passSize: number;
  /** Behind each layer, where a method needs it. */
  readonly heads: readonly Head[];
}

/** Changed activations in one pass of the head. */
const headPassSize = 32;

/** One target of every picture of a batch. Gradients are made when a method asks for them, and kept. */
export class TargetEvidence {
  readonly #batch: Batch;
  /** undefined: the picture has fewer targets. */
  readonly goals: readonly (Goal | undefined)[];
  readonly #made = new Map<string, Promise<Float32Array[]>>();

  constructor(batch: Batch, goals: readonly (Goal | undefined)[]) {
    this.#batch = batch;
    this.goals = goals;
  }

  /** ∂S/∂A of each layer. */
  gradients(): Promise<Float32Array[]> {
    return this.#once('gradients', () => this.#backward(this.#batch.passes as Differentiator, this.seed()));
  }

  /** The gradients of another seed, such as the softmax form's, at the same layers. */
  gradientsOf(key: string, seed: () => Float32Array): Promise<Float32Array[]> {
    return this.#once(key, () => this.#backward(this.#batch.passes as Differentiator, seed()));
  }

  /** What a method sees of the layer `index`. */
  at(index: number): Evidence {
    const batch = this.#batch;
    const { forward, input, names, size, channelAxis } = batch;
    const inputDims = input.dims.slice(1);
    return {
      images: batch.images,
      names,
      input: input.data,
      inputDims,
      channelAxis,
      size,
      get layer() {
        return layerValues(forward, index);
      },
      values: Float64Array.from(this.#paddedGoals, (goal, n) => goal?.value(batch.rows[n]) ?? 0),
      gradients: async () => this.#spread((await this.gradients())[index], index),
      inputGradients: (changed) => this.#inputGradients(changed, false),
      guidedGradients: () => this.#inputGradients(undefined, true),
      pass: (changes, as) => this.#pass(changes, as),
      headPass: (changes) => this.#headPass(index, changes),
      secondDerivatives: () => this.#secondDerivatives(index),
      random: (seed, image, purpose) => numbers(seed, names[image], purpose),
    };
  }

  /** The upstream gradient of the targets, with the dims of the scores; zeros for pictures that have fewer. */
  seed(): Float32Array {
    const { forward, rows } = this.#batch;
    return this.#seedFor(rows, forward.scores.data.length);
  }

  get #paddedGoals(): readonly (Goal | undefined)[] {
    return Array.from({ length: this.#batch.images }, (_, n) => this.goals[n]);
  }

  #seedFor(rows: readonly Row[], length: number): Float32Array {
    const seed = new Float32Array(length);
    const size = length / rows.length;
    this.goals.forEach((goal, n) => {
      if (goal) seed.set(goal.seed(rows[n]), n * size);
    });
    return seed;
  }

  #backward(passes: Differentiator, seed: Float32Array): Promise<Float32Array[]> {
    return passes.backward(this.#batch.forward, seed);
  }

  /** A gradient that is the same at every position, written out. */
  #spread(gradient: Float32Array, index: number): Float32Array {
    const { activations, channels } = layerValues(this.#batch.forward, index);
    const positions = activations.length / (this.#batch.images * channels);
    if (gradient.length === activations.length) return gradient;
    const full = new Float32Array(activations.length);
    for (let row = 0; row < gradient.length; row++)
      full.fill(gradient[row], row * positions, (row + 1) * positions);
    return full;
  }

  async #inputGradients(changed: Float32Array | undefined, guided: boolean): Promise<Float32Array> {
    const run = async () => {
      const { network, scores, images, input, feeds } = this.#batch;
      const { guidedRelu } = await import('../autodiff/rules/activation.js'); // with ONNX's types: not loaded by `import`
      const rules: Readonly<Record<string, Rule>> = guided ? { Relu: guidedRelu } : {};
      const passes = await network.differentiator([network.image.name], scores, { rules });
      const own = changed ? { ...input, data: changed } : input;
      const forward = await passes.forward({ ...feeds, [network.image.name]: own });
      const seed = this.#seedFor(rowsOf(forward.scores, images), forward.scores.data.length);
      return passes.backward(forward, seed);
    };
    const [gradient] = await (changed ? run() : this.#once(guided ? 'guided' : 'input', run));
    return gradient;
  }

  async #pass(
    changes: Iterable<{ readonly of: number; readonly fill: (out: Float32Array) => void }>,
    as: 'value' | 'probability' = 'value',
  ): Promise<Float64Array> {
    const { network, scores, passSize, input, feedsOf } = this.#batch;
    const length = sizeOf(input.dims.slice(1));
    const found: number[] = [];
    for (const group of grouped(changes, passSize)) {
      const N = network.fixedBatch ?? group.length;
      const data = new Float32Array(N * length);
      group.forEach(({ fill }, i) => fill(data.subarray(i * length, (i + 1) * length)));
      const image = { type: 'float32', dims: [N, ...input.dims.slice(1)], data } as const;
      const feeds = { ...feedsOf(group[0].of, N), [network.image.name]: image };
      const rows = rowsOf(await network.predict(feeds, scores), N);
      group.forEach(({ of }, i) => {
        const goal = this.goals[of];
        found.push(
          (as === 'probability' ? goal?.probability?.(rows[i]) : undefined) ?? goal?.value(rows[i]) ?? 0,
        );
      });
    }
    return Float64Array.from(found);
  }

  async #headPass(
    index: number,
    changes: Iterable<{ readonly of: number; readonly fill: (out: Float32Array) => void }>,
  ): Promise<Float64Array> {
    const { network, scores, forward, feedsOf } = this.#batch;
    const layer = this.#batch.passes.wrt[index];
    const head = this.#head(index);
    const session = await openHead(network, head);
    const [, ...dims] = forward.dims[index];
    const length = sizeOf(dims);
    const found: number[] = [];
    for (const group of grouped(changes, headPassSize)) {
      const N = network.fixedBatch ?? group.length;
      const data = new Float32Array(N * length);
      group.forEach(({ fill }, i) => fill(data.subarray(i * length, (i + 1) * length)));
      const feeds = {
        ...feedsOf(group[0].of, N),
        ...headFeeds(head, this.#batch, group[0].of, N),
        [layer]: { type: 'float32', dims: [N, ...dims], data } as const,
      };
      const rows = rowsOf((await session.run(feeds))[scores.info.name], N);
      group.forEach(({ of }, i) => found.push(this.goals[of]?.value(rows[i]) ?? 0));
    }
    return Float64Array.from(found);
  }

  async #secondDerivatives(index: number): Promise<{ gradients: Float32Array; product: Float32Array }> {
    const { network, scores, forward, images } = this.#batch;
    const head = this.#head(index);
    const second = await openSecondOrder(network, head, scores);
    const length = forward.scores.data.length / images;
    const seed = new Float32Array(forward.scores.data.length);
    for (const [n, goal] of this.goals.entries()) {
      if (goal?.place !== undefined) seed[n * length + goal.place] = 1;
      else if (goal) seed.set(goal.seed(this.#batch.rows[n]), n * length);
    }
    const values = { type: 'float32', dims: forward.dims[index], data: forward.activations[index] } as const;
    const results = await second.run(
      { ...this.#batch.feeds, ...headFeeds(head, this.#batch), [head.layer]: values },
      { type: 'float32', dims: forward.scores.dims, data: seed },
    );
    return results;
  }

  #head(index: number): Head {
    return this.#batch.heads[index];
  }

  #once(key: string, make: () => Promise<Float32Array[]>): Promise<Float32Array[]> {
    let made = this.#made.get(key);
    if (!made) {
      made = make();
      this.#made.set(key, made);
    }
    return made;
  }
}

function layerValues({ activations, dims }: Forward, index: number): LayerValues {
  const [, channels, ...rest] = dims[index];
  return { activations: activations[index], channels, dims: rest };
}

/** Groups of at most `size` changes of one picture each. */
function* grouped<T extends { readonly of: number }>(items: Iterable<T>, size: number): Generator<T[]> {
  let group: T[] = [];
  for (const item of items) {
    if (group.length === size || (group.length > 0 && group[0].of !== item.of)) {
      yield group;
      group = [];
    }
    group.push(item);
  }
  if (group.length > 0) yield group;
}

/** Uniform and normal (Box and Muller) numbers of a stream of their own. */
function numbers(seed: number, name: string, purpose: string): RandomNumbers {
  const stream = random(seed, purpose, name);
  return {
    uniform: () => stream.uniform(),
    normal: () => Math.sqrt(-2 * Math.log(1 - stream.uniform())) * Math.cos(2 * Math.PI * stream.uniform()),
  };
}
