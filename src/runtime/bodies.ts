import { GradcamppError } from '../errors.js';
import { graphAttribute } from '../graph/attributes.js';
import { withDims } from '../graph/fold.js';
import { captures, type Dim, type Graph, type Node, type ValueInfo, valueInfo } from '../graph/graph.js';
import { boolConstant, numbersOf } from '../onnx/constant.js';

/** Finds the dims of every value of a graph. */
type Infer = (graph: Graph) => Promise<Graph>;

/**
 * Notes dims behind If and Loop that their bodies tell: those in which both branches agree, and those that a loop does not
 * change. Returns the same graph where nothing is new.
 */
export async function inferBodies(graph: Graph, infer: Infer): Promise<Graph> {
  const values = new Map(graph.values);
  let changed = false;
  for (const node of graph.nodes) {
    const isOpen = node.outputs.some((name) => name && (valueInfo(graph, name).dims ?? ['']).includes(''));
    if (node.domain !== '' || !isOpen) continue;
    const found =
      node.opType === 'If'
        ? await branches(graph, node, infer)
        : node.opType === 'Loop'
          ? await loop(graph, node, infer)
          : [];
    node.outputs.forEach((name, i) => {
      const [before, dims] = [valueInfo(graph, name), found[i]];
      const merged = dims ? withDims(before, dims) : before;
      if (merged !== before && name) values.set(name, merged);
      changed ||= merged !== before;
    });
  }
  return changed ? { ...graph, values } : graph;
}

type Dims = readonly Dim[] | undefined;

async function branches(graph: Graph, node: Node, infer: Infer): Promise<readonly Dims[]> {
  const bodies = ['then_branch', 'else_branch'].map((name) => graphAttribute(node, name));
  const [yes, no] = await Promise.all(bodies.map((body) => body && outputDims(graph, body, [], infer)));
  return node.outputs.map((_, i) => agreed(yes?.[i], no?.[i]));
}

/** A loop carries values whose dims stay as they are, or change along some axes at every turn. */
async function loop(graph: Graph, node: Node, infer: Infer): Promise<readonly Dims[]> {
  const body = graphAttribute(node, 'body');
  if (!body) return [];
  const states = node.inputs.slice(2).map((name) => valueInfo(graph, name));
  let dims = states.map((info): Dims => info.dims);
  let after: readonly Dims[] = [];
  for (let turn = 0; turn < mostTurns; turn++) {
    const given = body.inputs.map((info, i): ValueInfo => {
      if (i < 2) return { name: info.name, type: info.type, dims: [] };
      return { name: info.name, type: states[i - 2]?.type ?? info.type, dims: dims[i - 2] };
    });
    after = await outputDims(graph, body, given, infer);
    const next = dims.map((own, i) => agreed(own, after[i + 1]));
    const isStable = next.every((own, i) => String(own) === String(dims[i]));
    dims = next;
    if (isStable) break;
  }
  const count = trips(graph, node, body);
  const scans = after.slice(1 + states.length).map((own) => own && [count, ...own]);
  return [...dims, ...scans];
}

/** As many as a value has axes, and one more. */
const mostTurns = 8;

/** How often a loop runs, where it always runs to its end. */
function trips(graph: Graph, node: Node, body: Graph): Dim {
  const most = graph.constants.get(node.inputs[0] ?? '');
  const goesOn = (constants: Graph['constants'], name: string | undefined) =>
    !name || numbersOf(constants.get(name) ?? boolConstant([false], []))[0] === 1;
  const [condition] = body.outputs;
  const made = body.nodes.find(({ outputs }) => outputs[0] === condition?.name);
  const isPassed =
    condition?.name === body.inputs[1]?.name ||
    (made?.opType === 'Identity' && made.inputs[0] === body.inputs[1]?.name);
  const runsOn = isPassed || goesOn(body.constants, condition?.name);
  return most && runsOn && goesOn(graph.constants, node.inputs[1]) ? numbersOf(most)[0] : '';
}

/** Dims of what a body gives, with what it takes from around it. */
async function outputDims(
  graph: Graph,
  body: Graph,
  inputs: readonly ValueInfo[],
  infer: Infer,
): Promise<readonly Dims[]> {
  const around = captures(body);
  const constants = new Map(body.constants);
  for (const name of around) {
    const constant = graph.constants.get(name);
    if (constant) constants.set(name, constant);
  }
  const taken = around.filter((name) => !constants.has(name)).map((name) => valueInfo(graph, name));
  const outputs = body.outputs.map(({ name }): ValueInfo => ({ name, type: undefined, dims: undefined }));
  const { opset, domains } = graph;
  try {
    const inferred = await infer({
      ...body,
      opset,
      domains,
      inputs: [...inputs, ...taken],
      outputs,
      constants,
      values: new Map(),
    });
    return body.outputs.map(({ name }) => valueInfo(inferred, name).dims);
  } catch (error) {
    if (error instanceof GradcamppError) return [];
    throw error;
  }
}

/** Dims in which two values agree; undefined where they have not as many. */
function agreed(a: Dims, b: Dims): Dims {
  if (!a || a.length !== b?.length) return undefined;
  return a.map((dim, i) => (dim === b[i] ? dim : ''));
}
