import type { SelfAttention } from '../graph/self-attention.js';
import type { Scores } from '../graph/scores.js';
import type { AttentionValues } from '../methods/common/evidence.js';
import type { Tensor } from '../tensor.js';
import type { Watch } from '../watch.js';
import { tokenCells } from './layout.js';
import type { Network } from './network.js';
import type { Differentiator, Forward } from './passes.js';

/** The attention of a batch, and the backward pass to it where a method wants its gradients. */
export interface AttentionPass {
  readonly values: AttentionValues;
  /** ∂(seed · S)/∂P of each block, [N, heads, T, T]; the seed has the dims of the scores. */
  readonly gradients: (seed: Float32Array) => Promise<readonly Float32Array[]>;
  /** Frees the memory of its own forward pass. */
  readonly release: () => void;
}

/** What a batch's forward pass gave of it, where it was asked for there, or else a pass of its own that gives gradients too. */
export async function attentionPass(
  network: Network,
  scores: Scores,
  attention: SelfAttention,
  {
    feeds,
    forward,
    needsGradients,
    watch,
  }: {
    readonly feeds: Readonly<Record<string, Tensor>>;
    readonly forward: Forward;
    readonly needsGradients: boolean;
    readonly watch: Watch;
  },
): Promise<AttentionPass> {
  if (!needsGradients) {
    const values = valuesOf(attention, forward.results);
    return { values, gradients: () => Promise.resolve([]), release: () => {} };
  }
  const wanted = attention.names.map((name) => ({ name }));
  const passes: Differentiator = await network.differentiator(wanted, scores);
  const own = await watch.during('forward', () => passes.forward(feeds));
  return {
    values: valuesOf(attention, own.results),
    gradients: (seed) => watch.during('backward', () => passes.backward(own, seed)),
    release: () => passes.release(own),
  };
}

function valuesOf(
  { names, layout }: SelfAttention,
  results: Readonly<Record<string, Tensor>>,
): AttentionValues {
  const tokens = results[names[0]].dims.at(-1) as number;
  return {
    names,
    blocks: names.map((name) => results[name].data as Float32Array),
    tokens,
    hasClassToken: layout.prefix > 0,
    ...tokenCells(layout, tokens, names[0]),
  };
}
