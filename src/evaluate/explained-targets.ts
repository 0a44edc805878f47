import { GradcamppError } from '../errors.js';
import type { Explanation } from '../explain/explanation.js';
import type { PreparedImage } from '../explain/input.js';
import type { NetworkExplainer } from '../explain/network-explainer.js';
import { rowsOf } from '../explain/rows.js';
import type { Scores } from '../graph/scores.js';
import { goalsOf, kindOf, outputOf, readsOf, type Target } from '../targets/index.js';
import { baseOf, type Goal, type Row } from '../targets/target.js';
import type { ExplainedTarget } from './subject.js';

/** What the network says of pictures that lie one after the other, in the output of some scores. */
export type RowsOfPictures = (tensors: Float32Array, count: number, scores: Scores) => Promise<Row[]>;

/**
 * What targets of one output found in a picture that was explained, in the order of its explanations. The output's values are those of
 * the explanation; only what targets read beside it takes another forward pass.
 */
export async function explainedTargets(
  explainer: NetworkExplainer,
  { image, explanation, size }: { image: PreparedImage; explanation: Explanation; size: readonly number[] },
  asked: readonly Target[],
  rowsOfPictures: RowsOfPictures,
): Promise<ExplainedTarget[]> {
  const ready = await explainer.targets.ready(asked);
  const scores = explainer.targets.scoresOf(outputOf(ready[0]));
  const { classes, channelsLast } = explainer.targets.facts(scores);
  const reads = readsOf(ready);
  const others = reads.length > 0 ? await valuesOf(explainer, image, scores, reads) : {};
  const row = { data: explanation.scores, dims: explanation.scoreDims };
  const facts = { classes, link: scores.link, size, channelsLast, output: (name: string) => others[name] };
  return goalsOf(ready, row, facts).map(({ goal, target }): ExplainedTarget => {
    checkConfidence(goal, row, scores);
    return {
      name: goal.name,
      class: goal.class ?? -1,
      again: askedAgain(goal, asked[ready.indexOf(target)]),
      confidence: confidenceIn(goal, row),
      confidenceIn: async (tensors, count) =>
        (await rowsOfPictures(tensors, count, scores)).map((changed) => confidenceIn(goal, changed)),
    };
  });
}

/** Other outputs of one picture. */
async function valuesOf(
  { network, feeds }: NetworkExplainer,
  { tensor, dims }: PreparedImage,
  scores: Scores,
  names: readonly string[],
): Promise<Record<string, Row>> {
  const N = network.fixedBatch ?? 1;
  const data = new Float32Array(N * tensor.length);
  for (let n = 0; n < N; n++) data.set(tensor, n * tensor.length);
  const passes = await network.forward([], scores, names);
  const input = { type: 'float32', dims: [N, ...dims], data } as const;
  const forward = await passes.forward({ ...feeds.of(0, 1, 1, N), [network.image.name]: input });
  const values = Object.fromEntries(names.map((name) => [name, rowsOf(forward.results[name], N)[0]]));
  passes.release(forward);
  return values;
}

/**
 * What asks for the same in a changed picture. The class that was the best, or the answer, stays the one that is asked for; an
 * object is looked for anew, as it was asked for.
 */
function askedAgain(goal: Goal, target: Target): Target {
  if (goal.class === undefined || goal.kind === 'detection') return target;
  const output = outputOf(target);
  if (kindOf(target).isOfClasses) return { class: goal.class, ...(output === undefined ? {} : { output }) };
  if (typeof target !== 'object' || !('kind' in target)) return target;
  const { top: _, ...rest } = target as { readonly top?: number };
  return { ...rest, class: goal.class } as Target;
}

/** NaN where the picture shows nothing that could have a probability. */
function confidenceIn({ probability, share }: Goal, row: Row): number {
  return probability?.(row) ?? share?.(row) ?? NaN;
}

function checkConfidence({ name, kind, probability, share }: Goal, row: Row, { link }: Scores): void {
  const canHave = share !== undefined || (probability !== undefined && baseOf(link) !== 'none');
  if (canHave || probability?.(row) !== undefined) return;
  throw new GradcamppError(
    'INVALID_TARGET',
    `Evaluations compare probabilities, or values in 0 … 1; "${name}" (${kind}) has neither. Name another target ("target", --target), or an output with a softmax or sigmoid ("output").`,
  );
}
