import { mergeByRank } from '../../masking.js';
import { plain } from '../../metric.js';
import { ranksOf, saliencyOrder } from '../../saliency-order.js';
import type { FaithfulnessMetric, ShownMap } from '../shown-map.js';
import { area, fractions, removed } from './curve.js';

export const frameDeletion: FaithfulnessMetric = {
  asked: 'frame-deletion',
  key: 'frameDeletionAuc',
  name: 'Frame deletion AUC',
  hint: ({ deletionBaseline }) =>
    `probability while whole frames become ${removed[deletionBaseline]}, those of most energy first`,
  definition:
    'of clips: probability while frame by frame becomes zero, the one first in which most of the map’s sum lies, area under the curve: deletion (Petsiuk et al.) over time. The mean of `Y` less this curve is Samek et al.’s AOPC (arXiv 1509.06321)',
  column: 'frame deletion AUC',
  better: 'lower',
  ...plain,
  byChance: 'no fixed number: that of frames in random order, the random control',
  applies: ({ frames }) => frames !== undefined,
  measure: async (shown, { frames = 1, deletionBaseline }) => {
    const { picture } = shown;
    const { layout } = picture.subject;
    const plane = layout.positions / frames;
    const ranks = ranksOf(positionsOf(frameOrder(shown, frames), plane));
    const baseline = picture.baseline(deletionBaseline);
    const without = (count: number) => {
      if (count === 0) return picture.full;
      if (count === frames) return picture.hidden(deletionBaseline);
      return picture.predictions.ask((out) =>
        mergeByRank(ranks, count * plane, baseline, picture.prepared.tensor, layout, out),
      );
    };
    const curve = await Promise.all(Array.from({ length: frames + 1 }, (_, count) => without(count)));
    return { value: area({ x: fractions(frames), y: curve }), curve };
  },
  chart: ({ frames = 1, deletionBaseline }) => ({
    key: 'frameDeletion',
    title: 'Deletion over time',
    caption: `Frames of most energy are removed first and become ${removed[deletionBaseline]}. A fast fall is good.`,
    xLabel: 'frames deleted',
    yLabel: 'probability',
    x: fractions(frames),
  }),
};

/** The frames from most energy to least; those of equal energy, such as none, in the order in which the control has them. */
function frameOrder({ map, picture }: ShownMap, frames: number): Uint32Array {
  const plane = map.data.length / frames;
  const energies = Float32Array.from({ length: frames }, (_, t) =>
    map.data.subarray(t * plane, (t + 1) * plane).reduce((sum, value) => sum + value, 0),
  );
  const ties = new Set<number>();
  for (const position of picture.ties) ties.add(Math.floor(position / plane));
  return saliencyOrder(energies, Uint32Array.from(ties));
}

/** The positions of frames, frame after frame. */
function positionsOf(frames: Uint32Array, plane: number): Uint32Array {
  const positions = new Uint32Array(frames.length * plane);
  for (const [place, t] of frames.entries())
    for (let p = 0; p < plane; p++) positions[place * plane + p] = t * plane + p;
  return positions;
}
