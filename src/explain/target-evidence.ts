import type { Rule } from '../autodiff/rule.js';
import type {
  Change,
  Enlargement,
  Evidence,
  LayerValues,
  Mask,
  MaskChange,
  RandomNumbers,
} from '../methods/common/evidence.js';
import { maskPicture, maskRange } from '../methods/common/masked-pictures.js';
import { normals, random } from '../random-stream.js';
import type { Goal, Row } from '../targets/target.js';
import { type GpuTensor, sizeOf, type Tensor } from '../tensor.js';
import { linearBlocks } from '../upsample.js';
import type { Watch } from '../watch.js';
import type { AttentionPass } from './attention-values.js';
import { groupSize, type KeptRows, runChanges } from './changed.js';
import { type Head, headFeeds, openConstantGradient, openHead, openSecondOrder } from './head.js';
import { isLaidOut, laidOut, putBack } from './layout.js';
import type { Network } from './network.js';
import type { Differentiator, Forward, HeldForward, HeldPasses, Passes } from './passes.js';
import type { Progress } from './progress.js';
import { openMasked } from './masked.js';
import { repeated } from './repeated.js';
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
  /** Where a method needs it. */
  readonly attention: AttentionPass | undefined;
  readonly progress: Progress;
  readonly watch: Watch;
}

/** Changed activations in one pass of the head. */
const headPassSize = 32;

/** One target of every picture of a batch. Gradients are made when a method asks for them, and kept. */
export class TargetEvidence {
  readonly #batch: Batch;
  /** undefined: the picture has fewer targets. */
  readonly goals: readonly (Goal | undefined)[];
  readonly #made = new Map<string, Promise<Float32Array[]>>();
  #held: Promise<GpuTensor[]> | undefined;
  /** Those whose gradients are made together with its own. */
  #others: readonly TargetEvidence[] = [this];

  private constructor(batch: Batch, goals: readonly (Goal | undefined)[]) {
    this.#batch = batch;
    this.goals = goals;
  }

  /** @param goals of each target, those of every picture */
  static of(batch: Batch, goals: readonly (readonly (Goal | undefined)[])[]): TargetEvidence[] {
    const all = goals.map((own) => new TargetEvidence(batch, own));
    for (const one of all) one.#others = all;
    return all;
  }

  /** ∂S/∂A of each layer. All that are asked together are made when one is. */
  gradients(): Promise<Float32Array[]> {
    if (!this.#made.has('gradients')) {
      const seeds = this.#others.map((one) => one.seed());
      const { watch, forward, passes } = this.#batch;
      const all = watch.during('backward', () => (passes as Differentiator).backwardEach(forward, seeds));
      for (const [i, one] of this.#others.entries()) {
        const own = all.then((found) => found[i]);
        own.catch(() => undefined); // whoever asks first hears of it
        one.#made.set('gradients', own);
      }
    }
    return this.#made.get('gradients') as Promise<Float32Array[]>;
  }

  /** ∂S/∂A of each layer, on the GPU. */
  heldGradients(): Promise<GpuTensor[]> {
    const { passes, forward, watch } = this.#batch;
    this.#held ??= watch.during('backward', () =>
      (passes as HeldPasses).gradients(forward as HeldForward, this.seed()),
    );
    return this.#held;
  }

  /** Gives back what is on the GPU. */
  async release(): Promise<void> {
    for (const tensor of (await this.#held) ?? []) tensor.release();
    this.#held = undefined;
  }

  /** The gradients of another seed, such as the softmax form's, at the same layers. */
  gradientsOf(key: string, seed: () => Float32Array): Promise<Float32Array[]> {
    return this.#once(key, () => this.#backward(this.#batch.passes as Differentiator, seed()));
  }

  /** What a method sees of the layer `index`. `kept` is shared with the other targets of the same method and layer. */
  at(index: number, kept?: KeptRows): Evidence {
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
      gradients: async (changed) =>
        this.#spread(
          changed ? await this.#changedGradients(changed, index) : (await this.gradients())[index],
          index,
        ),
      inputGradients: (changed) => this.#inputGradients(changed, false),
      guidedGradients: () => this.#inputGradients(undefined, true),
      pass: (changes, as) => this.#pass(changes, kept, as),
      maskedPass: (masks, of, as) => this.#maskedPass(masks, of, kept, as),
      headPass: (changes) => this.#headPass(index, changes, kept),
      constantGradient: () => this.#constantGradient(index),
      expect: (gradients) => batch.progress.expect(gradients),
      attention: () => this.#attention.values,
      attentionGradients: () => this.#attention.gradients(this.seed()),
      secondDerivatives: (of) => this.#secondDerivatives(index, of),
      random: (seed, image, purpose) => numbers(seed, names[image], purpose),
    };
  }

  /** The upstream gradient of the targets, with the dims of the scores; zeros for pictures that have fewer. */
  seed(): Float32Array {
    const { forward, rows } = this.#batch;
    return this.#seedFor(rows, forward.scores.data.length);
  }

  get #attention(): AttentionPass {
    const { attention } = this.#batch;
    if (attention) return attention;
    throw new Error('attention was not asked for');
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
    return this.#batch.watch.during('backward', () => passes.backward(this.#batch.forward, seed));
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

  /** ∂S/∂A of changed pictures. */
  async #changedGradients(changed: Float32Array, index: number): Promise<Float32Array> {
    return (await this.#through(this.#batch.passes.wrt, changed))[index];
  }

  async #inputGradients(changed: Float32Array | undefined, guided: boolean): Promise<Float32Array> {
    const run = async () => {
      const { network, input } = this.#batch;
      const { guidedRelu } = await import('../autodiff/rules/activation.js'); // with ONNX's types: not loaded by `import`
      return this.#through([network.image], changed ?? input.data, guided ? { Relu: guidedRelu } : {});
    };
    const [gradient] = await (changed ? run() : this.#once(guided ? 'guided' : 'input', run));
    return gradient;
  }

  /** ∂S/∂A of each layer (or of the input) for [N, …inputDims]. */
  async #through(
    layers: Passes['wrt'],
    data: Float32Array,
    rules: Readonly<Record<string, Rule>> = {},
  ): Promise<Float32Array[]> {
    const { network, scores, input, feeds, progress, forward, watch } = this.#batch;
    const own = { ...feeds, [network.image.name]: { ...input, data } };
    let gradients: Float32Array[];
    if (data === input.data || this.goals.every((goal) => !goal || goal.isLinear)) {
      const gradient = await network.gradient(layers, scores, rules);
      gradients = await watch.during('backward', () =>
        gradient(own, { ...forward.scores, data: this.seed() }),
      );
    } else gradients = await this.#afterScores(layers, own, rules);
    if (data !== input.data) progress.step(1);
    return gradients;
  }

  /** The same where the seed depends on the scores. */
  async #afterScores(
    layers: Passes['wrt'],
    feeds: Readonly<Record<string, Tensor>>,
    rules: Readonly<Record<string, Rule>>,
  ): Promise<Float32Array[]> {
    const { network, scores, images, watch } = this.#batch;
    const passes = await network.differentiator(layers, scores, { rules });
    const forward = await watch.during('forward', () => passes.forward(feeds));
    const seed = this.#seedFor(rowsOf(forward.scores, images), forward.scores.data.length);
    const gradients = await watch.during('backward', () => passes.backward(forward, seed));
    passes.release(forward);
    return gradients;
  }

  async #pass(
    changes: readonly Change[],
    kept: KeptRows | undefined,
    as: 'value' | 'probability' = 'value',
  ): Promise<void> {
    const { network, scores, passSize, input, feedsOf } = this.#batch;
    const [, ...dims] = input.dims;
    await this.#run(changes, {
      name: 'pictures',
      kept,
      length: sizeOf(dims),
      wanted: passSize,
      scores: async (data, N, of) => {
        const image = { type: 'float32', dims: [N, ...dims], data } as const;
        return network.predict({ ...feedsOf(of, N), [network.image.name]: image }, scores);
      },
      value: valueAs(as),
    });
  }

  /** On ONNX Runtime's side where masks have two axes; others are applied here. */
  async #maskedPass(
    masks: readonly MaskChange[],
    enlargement: Enlargement,
    kept: KeptRows | undefined,
    as: 'value' | 'probability' = 'value',
  ): Promise<void> {
    const { network, scores, passSize, input, channelAxis, feedsOf } = this.#batch;
    const dims = input.dims.slice(1);
    const masked = await openMasked(network, scores, enlargement, { dims, channelAxis });
    if (!masked) {
      const { from, to, size, isNormalized } = enlargement;
      const blocks = linearBlocks(from, to, size);
      const source = { input: input.data, inputDims: dims, channelAxis };
      const fill = (of: number, { cells, offsets }: Mask, out: Float32Array) => {
        const own = blocks(Float64Array.from(cells), offsets);
        maskPicture(source, of, own, out, isNormalized ? maskRange(own) : undefined);
      };
      const changes = masks.map(
        ({ of, mask, take }): Change => ({ of, fill: (out) => fill(of, mask(), out), take }),
      );
      return this.#pass(changes, kept, as);
    }
    const length = sizeOf(dims);
    const changes = masks.map(({ of, mask, take }): Change => {
      const fill = (out: Float32Array) => {
        const { cells, offsets } = mask();
        masked.fill(cells, offsets, out);
      };
      return { of, fill, take };
    });
    await this.#run(changes, {
      name: 'masks',
      kept,
      length: masked.length,
      wanted: groupSize(passSize, length),
      scores: (data, N, of) => {
        const picture = input.data.subarray(of * length, (of + 1) * length);
        return masked.run(picture, data, N, feedsOf(of, N));
      },
      value: valueAs(as),
    });
  }

  async #headPass(index: number, changes: readonly Change[], kept: KeptRows | undefined): Promise<void> {
    if (changes.length === 0) return;
    const { network, scores, forward, feedsOf, heads, passes } = this.#batch;
    const head = heads[index];
    const layer = passes.wrt[index];
    const session = await openHead(network, head);
    const [, ...dims] = forward.dims[index];
    const others = remembered((of, N) => ({ ...feedsOf(of, N), ...headFeeds(head, this.#batch, of, N) }));
    const unchanged = remembered((of, N) =>
      repeated(forward.layers[index], layer.layout ?? { batchAxis: 0 }, of, N),
    );
    const asInNetwork = (data: Float32Array, N: number, of: number) =>
      isLaidOut(layer, forward.layers[index].dims)
        ? ({ type: 'float32', dims: [N, ...dims], data } as const)
        : putBack(data, unchanged(of, N) as Tensor<'float32'>, layer);
    await this.#run(changes, {
      name: 'activations',
      kept,
      length: sizeOf(dims),
      wanted: headPassSize,
      scores: async (data, N, of) => {
        const feeds = { ...others(of, N), [head.layer]: asInNetwork(data, N, of) };
        return (await session.run(feeds))[scores.info.name];
      },
      value: (row, goal) => goal.value(row),
    });
  }

  async #run(
    changes: readonly Change[],
    run: {
      readonly name: string;
      readonly kept: KeptRows | undefined;
      readonly length: number;
      readonly wanted: number;
      readonly scores: (data: Float32Array, count: number, of: number) => Promise<Tensor>;
      readonly value: (row: Row, goal: Goal) => number;
    },
  ): Promise<void> {
    const { network, rows, progress, watch } = this.#batch;
    const isAsked = changes.map(({ of }) => this.goals[of] !== undefined); // not the pictures that fill up a fixed batch
    const earlier = run.kept?.of(run.name, isAsked);
    if (earlier) {
      const unread = new Float32Array(run.length);
      for (const [i, { of, fill, take }] of changes.entries()) {
        if (!isAsked[i]) continue;
        fill(unread); // methods count on it
        take(run.value(earlier[i], this.goals[of] as Goal));
      }
      return;
    }
    const asked = changes.filter((_, i) => isAsked[i]);
    const found: Row[] = [];
    progress.expect(asked.length);
    await runChanges(asked, {
      length: run.length,
      size: network.fixedBatch ?? groupSize(run.wanted, run.length),
      isFixed: network.fixedBatch !== undefined,
      rows: async (data, count, of) =>
        rowsOf(await watch.during('forward', () => run.scores(data, count, of)), count),
      rowLength: rows[0].data.length,
      value: (row, of) => {
        if (run.kept) found.push(row);
        return run.value(row, this.goals[of] as Goal);
      },
      onDone: (count) => progress.step(count),
    });
    run.kept?.keep(
      run.name,
      isAsked.map((own) => (own ? found.shift() : undefined)),
    );
  }

  async #constantGradient(index: number): Promise<Float32Array | undefined> {
    const { network, heads, scores, forward, passes } = this.#batch;
    if (!this.goals.every((goal) => !goal || goal.isLinear)) return undefined;
    const backward = await openConstantGradient(network, heads[index], scores);
    if (!backward) return undefined;
    const { type, dims } = forward.scores;
    const gradient = await this.#batch.watch.during('backward', () =>
      backward({ type, dims, data: this.seed() }),
    );
    const isWhole = gradient.data.length === forward.layers[index].data.length;
    if (!isWhole && passes.wrt[index].layout?.folded) return undefined; // one number a channel and a frame
    return this.#spread(isWhole ? laidOut(gradient, passes.wrt[index]).data : gradient.data, index);
  }

  async #secondDerivatives(
    index: number,
    of: 'log-probability' | 'value' = 'log-probability',
  ): Promise<{ gradients: Float32Array; product: Float32Array }> {
    const { network, scores, forward, images } = this.#batch;
    const head = this.#batch.heads[index];
    const isClass = of !== 'value' && this.goals.every((goal) => !goal || goal.place !== undefined);
    const second = await openSecondOrder(network, head, isClass ? scores : { ...scores, link: 'none' });
    const length = forward.scores.data.length / images;
    const seed = isClass ? new Float32Array(forward.scores.data.length) : this.seed();
    if (isClass)
      for (const [n, goal] of this.goals.entries()) if (goal) seed[n * length + (goal.place as number)] = 1;
    const values = forward.layers[index];
    const { gradients, product } = await this.#batch.watch.during('backward', () =>
      second.run(
        { ...this.#batch.feeds, ...headFeeds(head, this.#batch), [head.layer]: values },
        { type: 'float32', dims: forward.scores.dims, data: seed },
      ),
    );
    const layer = this.#batch.passes.wrt[index];
    const { dims } = values;
    return {
      gradients: laidOut({ data: gradients, dims }, layer).data,
      product: laidOut({ data: product, dims }, layer).data,
    };
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

/** The target's value, or its probability or share where it has one. */
function valueAs(as: 'value' | 'probability'): (row: Row, goal: Goal) => number {
  if (as === 'value') return (row, goal) => goal.value(row);
  return (row, goal) => goal.probability?.(row) ?? goal.share?.(row) ?? goal.value(row);
}

function layerValues({ activations, dims }: Forward, index: number): LayerValues {
  const [, channels, ...rest] = dims[index];
  return { activations: activations[index], channels, dims: rest };
}

/** The last answer of a function of a picture and how often it goes through the head. */
function remembered<T>(make: (of: number, count: number) => T): (of: number, count: number) => T {
  let last: { readonly of: number; readonly count: number; readonly made: T } | undefined;
  return (of, count) => {
    if (last?.of !== of || last.count !== count) last = { of, count, made: make(of, count) };
    return last.made;
  };
}

/** Uniform and normal numbers of a stream of their own. */
function numbers(seed: number, name: string, purpose: string): RandomNumbers {
  const stream = random(seed, purpose, name);
  return { uniform: stream.uniform, normal: normals(stream) };
}
