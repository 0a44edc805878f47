import { didYouMean } from '../check.js';
import { GradcamppError } from '../errors.js';
import { isFloat } from '../onnx/types.js';
import { isGlobalAverage } from './channels.js';
import { is } from './facts.js';
import { type Graph, type Node, producers, type ValueInfo, valueInfo } from './graph.js';

/** How probabilities follow from the scores. */
export type Link = 'softmax' | 'sigmoid' | 'none';

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
}

const finals: Readonly<Record<string, Link>> = {
  Softmax: 'softmax',
  LogSoftmax: 'softmax',
  Sigmoid: 'sigmoid',
};

/**
 * The score tensor behind a model output: the input of a final Softmax, LogSoftmax or Sigmoid, looked for
 * through operators that only change dims; else the output itself.
 *
 * @param name an output of the model (or any float value in it); default: the first float output
 */
export function findScores(graph: Graph, name?: string): Scores {
  const output = name ?? graph.outputs.find((info) => isFloatOutput(graph, info.name))?.name;
  const known = new Set(graph.nodes.flatMap((node) => node.outputs));
  if (output === undefined || !known.has(output))
    throw new GradcamppError(
      'INVALID_OPTION',
      output === undefined
        ? 'The model has no float output to explain.'
        : `"output" must name a value of the model; received ${JSON.stringify(output)}. ${didYouMean(output, known) || `Outputs: ${graph.outputs.map((info) => info.name).join(', ')}.`}`,
    );
  const made = producers(graph);
  let node = made.get(output);
  while (node && is(node, 'passThrough')) node = made.get(node.inputs[0]);
  const link = node?.domain === '' ? finals[node.opType] : undefined;
  if (node && link) return { info: valueInfo(graph, node.inputs[0]), output, link, steppedOver: node };
  const info = valueInfo(graph, output);
  return { info, output, link: info.dims?.length === 1 ? 'none' : 'softmax' };
}

/**
 * The value [N, M, ...] whose channels the M scores are the means of, as in networks that end in a convolution with one
 * channel a class and global average pooling; undefined where more, or something else, lies between.
 */
export function pooledToScores(graph: Graph, { info }: Scores): string | undefined {
  const made = producers(graph);
  let node = made.get(info.name);
  while (node && is(node, 'onlyDims')) node = made.get(node.inputs[0]);
  if (!node || !isGlobalAverage(node, graph)) return undefined;
  const [, M, ...rest] = info.dims ?? [];
  const dims = valueInfo(graph, node.inputs[0]).dims ?? [];
  const isOneEach = typeof M === 'number' && M === dims[1] && rest.every((dim) => dim === 1);
  return isOneEach && dims.length > 2 ? node.inputs[0] : undefined;
}

function isFloatOutput(graph: Graph, name: string): boolean {
  const { type } = valueInfo(graph, name);
  return type === undefined || isFloat(type);
}
