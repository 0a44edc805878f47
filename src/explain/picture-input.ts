import { GradcamppError } from '../errors.js';
import { Builder } from '../graph/builder.js';
import { isFloatValue } from '../graph/from-model.js';
import { ancestors, type Dim, type Graph, type Node, type ValueInfo, valueInfo } from '../graph/graph.js';
import { DataType, isFloat } from '../onnx/types.js';

/** A graph whose picture is float32 with a batch axis, whatever the model's own input is. */
export interface AdaptedGraph {
  readonly graph: Graph;
  /** The input that takes pictures, [N, …]. */
  readonly image: ValueInfo;
  /** The model's own input, as the user knows it. */
  readonly original: ValueInfo;
}

const wholeNumbers = new Set([
  DataType.UINT8,
  DataType.INT8,
  DataType.UINT16,
  DataType.INT16,
  DataType.INT32,
  DataType.INT64,
  DataType.UINT32,
]);

/** What tells which input takes the picture: its name, and the names of those that are fed. */
export interface PictureChoice {
  readonly name?: string;
  readonly fed?: readonly string[];
}

/**
 * Finds the input that takes the picture, and puts a float32 one with a batch axis in its place: whole numbers are cast
 * (where the model casts them to floats at once, they never become whole numbers), and a missing batch axis is one of 1.
 *
 * @param choice default: the only one that looks like pictures, the only one with a batch axis, or the only one
 */
export function adaptPicture(graph: Graph, { name, fed = [] }: PictureChoice = {}): AdaptedGraph {
  const original = pictureInput(graph, name, fed);
  const { dims, type } = original;
  const hasBatch = !isUnbatched(dims);
  if (hasBatch && (type === undefined || isFloat(type))) return { graph, image: original, original };
  const isWhole = type !== undefined && !isFloat(type);
  const b = new Builder(graph);
  const image: ValueInfo = {
    name: b.names.free(`${original.name}/picture`),
    type: DataType.FLOAT,
    dims: hasBatch ? dims : [1, ...(dims ?? [])],
  };
  b.at(original.name);
  let float = image.name;
  if (!hasBatch)
    float = b.op('Squeeze', [float, b.ints([0])], {}, isWhole ? b.fresh('float') : original.name);
  if (isWhole) b.op('Cast', [float], { to: type }, original.name);
  const values = new Map(graph.values);
  values.set(image.name, image);
  if (!hasBatch) values.set(float, { name: float, type: DataType.FLOAT, dims });
  return {
    graph: {
      ...graph,
      inputs: graph.inputs.map((info) => (info.name === original.name ? image : info)),
      constants: new Map([...graph.constants, ...b.constants]),
      values,
      nodes: [
        ...b.nodes,
        ...(isWhole ? graph.nodes.map((node) => uncast(node, original.name, float, graph)) : graph.nodes),
      ],
    },
    image,
    original,
  };
}

/** A cast of the picture to float takes the float picture itself: the gradient then reaches it. */
function uncast(node: Node, from: string, float: string, graph: Graph): Node {
  const isFloatCast =
    node.opType === 'Cast' &&
    node.inputs[0] === from &&
    isFloat(valueInfo(graph, node.outputs[0]).type ?? DataType.FLOAT);
  return isFloatCast ? { ...node, opType: 'Identity', inputs: [float], attributes: new Map() } : node;
}

/** [C, H, W] or [H, W, C] with 1, 3 or 4 channels and no axis before them. */
function isUnbatched(dims: readonly Dim[] | undefined): boolean {
  if (dims?.length === 2) return dims.every((dim) => typeof dim === 'number' && dim > 8);
  if (dims?.length !== 3) return false;
  const isColour = (dim: Dim) => dim === 3 || dim === 4;
  const isLong = (dim: Dim) => typeof dim !== 'number' || dim > 4;
  return (
    (isColour(dims[0]) && isLong(dims[1]) && isLong(dims[2])) ||
    (isColour(dims[2]) && isLong(dims[0]) && isLong(dims[1]) && typeof dims[0] === 'number')
  );
}

/** [N, …], where N is not told, or 1. */
function isBatched({ dims = [] }: ValueInfo): boolean {
  return dims.length > 1 && (typeof dims[0] !== 'number' || dims[0] === 1);
}

function pictureInput(graph: Graph, name: string | undefined, fed: readonly string[]): ValueInfo {
  const inputs = graph.inputs.map((input) => valueInfo(graph, input.name));
  const list = inputs
    .map(
      (input) => `${JSON.stringify(input.name)} [${input.dims?.map((dim) => dim || '?').join(', ') ?? '?'}]`,
    )
    .join(', ');
  if (name !== undefined) {
    const named = inputs.find((input) => input.name === name);
    if (named) return named;
    throw new GradcamppError(
      'INVALID_OPTION',
      `"input.name" must be an input of the model; received ${JSON.stringify(name)}. Inputs: ${inputs.map((input) => JSON.stringify(input.name)).join(', ')}.`,
    );
  }
  const needed = ancestors(
    graph,
    graph.outputs.map((output) => output.name),
  );
  const all = inputs.filter((input) => needed.has(input.name));
  const unfed = all.filter((input) => !fed.includes(input.name));
  const read = unfed.length > 0 ? unfed : all;
  const numbers = read.filter((input) => isFloatValue(input) || wholeNumbers.has(input.type as DataType));
  if (read.length === 1 && numbers.length === 1) return numbers[0];
  const pictures = numbers.filter(({ dims }) => dims?.length === 4 || dims?.length === 5);
  const floats = pictures.filter((input) => isFloatValue(input));
  if (floats.length === 1) return floats[0];
  if (pictures.length === 1) return pictures[0];
  const batched = numbers.filter((input) => isFloatValue(input) && isBatched(input)); // a state has its layers first
  if (pictures.length === 0 && batched.length === 1) return batched[0];
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    numbers.length === 0
      ? `The model must have an input of numbers; it has ${list || 'none'}.`
      : `The model has ${read.length} inputs, and which one takes the picture is not plain: ${list}. Name it as "input.name" in the JSON sidecar, or feed the others (--feed NAME=VALUE).`,
  );
}
