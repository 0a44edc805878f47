import { didYouMean } from '../check.js';
import { GradcamppError } from '../errors.js';
import { Backward } from './backward.js';
import type { Graph, Node, ValueInfo } from './graph.js';
import { chooseOutput } from './outputs.js';
import { isNormalized } from './normalized.js';
import { hasUnitLength } from './unit-length.js';
import { behindPicks, classNamesBehind, type Link, scoresBehind } from './score-tensor.js';

export { type Calibration, type Link, linkName } from './score-tensor.js';

/** Where the scores before softmax are. */
export interface Scores {
  /** The tensor that is explained: scores before softmax. */
  readonly info: ValueInfo;
  /** The model output that it was found from. */
  readonly output: string;
  /** What turns scores into probabilities: the operator that was stepped over, softmax where there was none. */
  readonly link: Link;
  /** The softmax or sigmoid that was stepped over. */
  readonly steppedOver?: Node;
  /** Whether they are no scores at all, but a vector that is scaled to length 1. */
  readonly isEmbedding?: boolean;
  /** Whether they are the features of a normalised layer. */
  readonly areFeatures?: boolean;
  /** The values that are joined in it, where it is several. */
  readonly parts?: readonly string[];
  /** The names of the classes, where an operator behind the scores gives them. */
  readonly classNames?: readonly string[];
  /** What the user should know: other outputs that could be meant. */
  readonly notes: readonly string[];
}

/**
 * The score tensor behind a model output: what a final softmax or sigmoid reads, however it is written. Operators that only
 * change dims, scale, shift or clip are stepped over, and those that pick or name classes: TopK, ArgMax, ZipMap. What mixes
 * probabilities, such as the mean of several softmaxes, stays as it is: then the scores are the probabilities.
 *
 * @param name an output of the model (or any value in it); default: the output that looks most like class scores
 */
export function findScores(graph: Graph, name?: string): Scores {
  const back = new Backward(graph);
  if (name !== undefined) checkName(graph, name);
  const choice = name === undefined ? chooseOutput(back) : { name, notes: [] };
  if (choice === undefined)
    throw new GradcamppError('INVALID_OPTION', 'The model has no float output to explain.');
  const picked = behindPicks(back, choice.name);
  if (picked === undefined)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"output" must name a tensor of floats; ${JSON.stringify(choice.name)} is none, and none is behind it.`,
    );
  const { info, link, steppedOver } = scoresBehind(back, picked);
  const classNames = classNamesBehind(back, info.name);
  const common = { info, output: choice.name, classNames, notes: choice.notes };
  if (hasUnitLength(back, info.name)) return { ...common, link: 'none', isEmbedding: true };
  return { ...common, link, steppedOver, areFeatures: isNormalized(back, info.name) };
}

function checkName(graph: Graph, name: string): void {
  const known = new Set(graph.nodes.flatMap((node) => node.outputs));
  if (known.has(name)) return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `"output" must name a value of the model; received ${JSON.stringify(name)}. ${didYouMean(name, known) || `Outputs: ${graph.outputs.map((info) => info.name).join(', ')}.`}`,
  );
}
