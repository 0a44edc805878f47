import type { Builder, Name } from '../../graph/builder.js';
import { forAll, oneHot, unsqueezed } from './nodes.js';
import type { GoalNodes, OutputNodes } from '../target.js';

/** What is asked of a segmentation inside a graph. */
export interface SegmentNodes {
  readonly isChannelsLast: boolean;
  /** A class, the same in every picture; undefined: the `top` that are the answer in most positions. */
  readonly class: number | undefined;
  readonly top: number;
  /** Above this a single channel is the answer. */
  readonly least: number;
  readonly hasBackground: boolean;
  /** Positions of a given mask, [1, …size] of the output, and its dims. */
  readonly mask: { readonly weights: Float32Array; readonly dims: readonly number[] } | undefined;
}

/** The goals of a segmentation [N, C, …size] (or [N, …size, C]) as nodes: what `find` does, for all pictures together. */
export function segmentationNodes(
  b: Builder,
  { value, dims }: OutputNodes,
  { isChannelsLast, class: named, top, least, hasBackground, mask }: SegmentNodes,
): GoalNodes[] {
  const rank = dims.length;
  const last = rank - 1;
  const toFirst = [0, last, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)];
  const toLast = [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1];
  const scores = isChannelsLast ? b.transpose(value, toFirst) : value;
  const count = b.op('Shape', [scores], { start: 1, end: 2 });
  const channels = dims[isChannelsLast ? last : 1];
  const isAnswer = channels === 1 ? foreground(b, scores, least) : answers(b, scores, count, rank);
  const given = mask && b.floats(mask.weights, [1, 1, ...mask.dims]);
  const classes = named === undefined ? mostAnswered() : [forAll(b, named, scores)];
  return classes.map((index) => {
    const hot = b.op('Unsqueeze', [
      oneHot(b, index, b.op('Squeeze', [count, b.ints([0])])),
      b.ints(Array.from({ length: rank - 2 }, (_, i) => i + 2)),
    ]);
    const chosen = given
      ? b.op('Expand', [b.mul(hot, given), b.op('Shape', [scores])])
      : b.mul(hot, isAnswer);
    return { class: index, seed: isChannelsLast ? b.transpose(chosen, toLast) : chosen };
  });

  /** By votes of the positions; the background has less than any other that has one. */
  function mostAnswered(): Name[] {
    const axes = Array.from({ length: rank - 2 }, (_, i) => i + 2);
    const votes = b.reduceSum(given ? b.mul(isAnswer, given) : isAnswer, axes, 0);
    const share = hasBackground && channels !== 1 ? b.mul(votes, backgroundShare(b, votes, scores)) : votes;
    const [, indices] = b.ops('TopK', [share, b.ints([top])], 2, { axis: 1 });
    return Array.from({ length: top }, (_, t) => b.op('Gather', [indices, b.int(t)], { axis: 1 }));
  }
}

/** 1 where a single channel says so. */
function foreground(b: Builder, scores: Name, least: number): Name {
  return b.asFloat(b.op('Greater', [scores, b.scalar(least)]));
}

/** 1 where a class has the largest score of its position, the lowest index among equals; dims of the scores. */
function answers(b: Builder, scores: Name, count: Name, rank: number): Name {
  const index = b.op('ArgMax', [scores], { axis: 1, keepdims: 1 });
  const classes = b.op('Range', [b.int(0), b.op('Squeeze', [count, b.ints([0])]), b.int(1)]);
  const shaped = b.reshape(classes, [1, -1, ...Array.from({ length: rank - 2 }, () => 1)]);
  return b.asFloat(b.op('Equal', [index, shaped]));
}

/** 1 / (positions + 1) for class 0, 1 for the others: [1, C]. */
function backgroundShare(b: Builder, votes: Name, scores: Name): Name {
  const sizes = b.op('Shape', [scores], { start: 2 });
  const positions = b.asFloat(b.op('ReduceProd', [sizes, undefined], { keepdims: 0 }));
  const count = b.op('Squeeze', [b.op('Shape', [votes], { start: 1 }), b.ints([0])]);
  const classes = unsqueezed(b, b.op('Range', [b.int(0), count, b.int(1)]), 0);
  const isBackground = b.op('Equal', [classes, b.int(0)]);
  return b.where(isBackground, b.div(b.scalar(1), b.add(positions, b.scalar(1))), b.scalar(1));
}
