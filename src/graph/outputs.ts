import type { Backward } from './backward.js';
import { is } from './facts.js';
import { descendants, type Dim, readsOf, valueInfo } from './graph.js';
import { behindPicks, rootOf, scoresBehind } from './score-tensor.js';

/** An output of the model, and what speaks for its being class scores. */
interface Candidate {
  readonly name: string;
  /** The score tensor behind it; outputs that share one mean the same. */
  readonly scores: string;
  readonly dims: readonly Dim[] | undefined;
  readonly points: number;
}

const good = /(^|[^a-z])(logits?|scores?|prob\w*|class\w*|cls)([^a-z]|$)/i;
const fair = /(^|[^a-z])(out(put)?s?|preds?|predictions?|label\w*)([^a-z]|$)/i;
const poor =
  /feat|embed|hidden|aux|ind(ex|ices)|loss|box|offset|anchor|landmark|keypoint|mask|attention|state/i;

/** An output that is this much worse than the best one could still be meant. */
const margin = 3;

/** The output that looks most like class scores; the others that could be meant are named in a note. */
export function chooseOutput(back: Backward): { name: string; notes: string[] } | undefined {
  const candidates = candidatesOf(back);
  const [best, ...others] = candidates.toSorted((a, b) => b.points - a.points);
  if (!best) return undefined;
  const distinct = others.filter(
    ({ scores }, i) => scores !== best.scores && others.findIndex((other) => other.scores === scores) === i,
  );
  const rivals = distinct.filter(({ points }) => points >= Math.max(best.points - margin, 0));
  if (rivals.length === 0) return { name: best.name, notes: [] };
  const names = [best, ...rivals].map(
    ({ name, dims }) => `${JSON.stringify(name)} [${(dims ?? []).map((dim) => dim || '?').join(', ')}]`,
  );
  const note = `Several outputs could be the class scores: ${names.join(', ')}. ${JSON.stringify(best.name)} is explained; choose another with --output (option "output").`;
  return { name: best.name, notes: [note] };
}

function candidatesOf(back: Backward): Candidate[] {
  const { graph } = back;
  const found = graph.outputs.flatMap(({ name }) => {
    const picked = back.maker(name) && behindPicks(back, name);
    if (picked === undefined) return [];
    const { info, steppedOver } = scoresBehind(back, picked);
    return [
      {
        name,
        scores: rootOf(back, info.name),
        dims: valueInfo(graph, picked).dims,
        isLinked: steppedOver !== undefined,
        isPick: picked !== name,
      },
    ];
  });
  const learned = new Map(found.map(({ scores }) => [scores, learnedFrom(back, scores)]));
  return found.map(({ name, scores, dims, isLinked, isPick }) => {
    const isAsked = isLinked || feedsChoice(back, scores);
    const isFeature = [...learned.keys()].some((other) => learned.get(scores)?.has(other));
    const points = pointsOfDims(dims) + pointsOfName(name) + (isAsked ? 3 : 0);
    return { name, scores, dims, points: points - (isFeature ? 6 : 0) - (isPick ? 1 : 0) };
  });
}

/** [N, classes] speaks for scores, places in the picture against them. */
function pointsOfDims(dims: readonly Dim[] | undefined): number {
  if (!dims) return 0;
  const rest = dims.slice(1);
  if (dims.length === 1) return 1;
  if (rest.filter((dim) => dim !== 1).length > 1) return 0;
  if (rest.every((dim) => dim === 1)) return 1;
  return dims.length === 2 ? 4 : 3;
}

function pointsOfName(name: string): number {
  if (poor.test(name)) return -3;
  return good.test(name) ? 2 : fair.test(name) ? 1 : 0;
}

/** Whether a softmax or a choice of classes reads the value. */
function feedsChoice(back: Backward, name: string): boolean {
  const isChoice = (opType: string) => ['Softmax', 'LogSoftmax', 'ArgMax', 'TopK', 'ZipMap'].includes(opType);
  return back.graph.nodes.some(({ opType, inputs }) => isChoice(opType) && rootOf(back, inputs[0]) === name);
}

/** What is computed from a value with weights: it is a feature of that. */
function learnedFrom({ graph }: Backward, name: string): Set<string> {
  const reached = descendants(graph, [name]);
  const heads = graph.nodes.filter(
    (node) => is(node, 'weighs') && readsOf(node).some((input) => reached.has(input)),
  );
  return descendants(
    graph,
    heads.flatMap((node) => node.outputs.filter(Boolean)),
  );
}
