import { GradcamppError, messageOf } from '../errors.js';
import { is } from '../graph/facts.js';
import { ancestors, descendants, type Graph, label, type Node, readsOf, valueInfo } from '../graph/graph.js';
import { numbersOf } from '../onnx/constant.js';
import { DataType, isFloat } from '../onnx/types.js';
import { Builder, type Name } from '../graph/builder.js';
import { Pass, type Rule } from './rule.js';
import { simplify, type Written } from './simplify.js';
import { ruleOf, stops } from './table.js';

export interface GradientOptions {
  /** The value that is differentiated, and the value that holds its upstream gradient (same dims). */
  readonly of: readonly { readonly output: Name; readonly seed: Name }[];
  /** The values whose gradients are wanted. */
  readonly wrt: readonly Name[];
  /** Rules that stand in for the table's, by operator (guided backpropagation). */
  readonly rules?: Readonly<Record<string, Rule>>;
  /**
   * Keep every path from constants into the gradient as nodes, so that the result can be differentiated with
   * respect to weights again. Off by default: derived constants (rotated weights) are faster.
   */
  readonly keepPaths?: boolean;
}

/** The graph with the nodes of the gradient behind its own. */
export interface GradientGraph {
  readonly graph: Graph;
  /** Where the gradient of each wanted value is. */
  readonly gradients: ReadonlyMap<Name, Name>;
  /** The wanted values that a gradient arrives at; that of the others is zero. */
  readonly reached: ReadonlySet<Name>;
  /** Where the gradient is not the derivative (quantisation, straight through): a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Reverse-mode differentiation, graph to graph: visits the nodes between `wrt` and `of` backwards, asks the
 * table for each one's rule, and sums what arrives from several consumers. Only standard operators are
 * written, so the result can be differentiated again.
 *
 * @throws GradcamppError UNSUPPORTED_MODEL naming the operator, node and opset where there is no rule
 */
export function appendGradient(
  graph: Graph,
  { of, wrt, rules = {}, keepPaths = false }: GradientOptions,
): GradientGraph {
  const reached = descendants(graph, wrt);
  const needed = intersection(
    reached,
    ancestors(
      graph,
      of.map(({ output }) => output),
    ),
  );
  const b = new Builder(graph);
  for (const { seed } of of) b.names.take(seed);
  const arriving = new Map<Name, Name[]>();
  for (const { output, seed } of of) give(arriving, output, seed);
  const quantized = quantizedValues(graph);
  const carries = (name: Name) => needed.has(name) && (quantized.has(name) || carriesGradient(graph, name));
  const notes: string[] = [];
  const nodes = [...graph.nodes];
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    if (!node.outputs.some((output) => arriving.has(output))) continue;
    if (!readsOf(node).some(carries)) continue;
    const rule = rules[node.opType] ?? ruleOf(node, graph.ownOpset ?? graph.opset);
    b.at(`d/${node.name || node.outputs[0]}`);
    b.type = floatTypeOf(graph, node);
    b.origin = `the gradient of ${label(node)}`;
    const dYs = node.outputs.map((output) => sum(b, arriving.get(output)));
    const pass = new Pass(graph, node, dYs, b, { needed, keepPaths });
    apply(rule, pass).forEach((dX, input) => {
      if (dX !== undefined && needed.has(node.inputs[input])) give(arriving, node.inputs[input], dX);
    });
    b.unbounded ||= isUnbounded(graph, node);
    if (pass.extended) nodes[i] = pass.extended;
    notes.push(...pass.notes);
  }
  b.at('d');
  b.origin = 'the sum of gradients';
  const made = wrt.map((name) => sum(b, arriving.get(name)) ?? zeros(b, graph, name));
  const written = { nodes: b.nodes, constants: b.constants, dimsOf: gradientDims(graph, arriving) };
  const { nodes: added, nameOf } = simplify(written, made);
  const read = new Set(added.flatMap(readsOf));
  const constants = [...b.constants].filter(([name]) => read.has(name));
  return {
    graph: { ...graph, nodes: [...nodes, ...added], constants: new Map([...graph.constants, ...constants]) },
    gradients: new Map(wrt.map((name, i) => [name, nameOf(made[i])])),
    reached: new Set(wrt.filter((name) => arriving.has(name))),
    notes,
  };
}

/** Whether the slope of an operator can be infinite where its value is not. */
function isUnbounded(graph: Graph, node: Node): boolean {
  const constant = graph.constants.get(node.inputs[1]);
  if (node.opType === 'Div') return constant === undefined;
  if (node.opType === 'Pow') return !constant || numbersOf(constant).some((exponent) => exponent < 1);
  return is(node, 'unboundedSlope');
}

/** Attributes and dims that contradict each other can break a rule: ONNX Runtime looks at many only when it runs. */
function apply(rule: Rule, pass: Pass): ReturnType<Rule> {
  try {
    return rule(pass);
  } catch (error) {
    if (error instanceof GradcamppError) throw error;
    const what = `${label(pass.node)} has attributes or dims that contradict each other`;
    throw new GradcamppError(
      'INVALID_MODEL',
      `${what}, so its gradient cannot be built: ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  }
}

/** Dims of forward values, and of gradients, which have those of what they are gradients of. */
function gradientDims(graph: Graph, arriving: ReadonlyMap<Name, readonly Name[]>): Written['dimsOf'] {
  const values = new Map<Name, Name>();
  for (const [value, names] of arriving) for (const name of names) values.set(name, value);
  return (name) => valueInfo(graph, values.get(name) ?? name).dims;
}

/** Whole numbers that stand for floats: made by quantisation, passed on until they are floats again. */
function quantizedValues(graph: Graph): Set<Name> {
  const values = new Set<Name>();
  for (const node of graph.nodes) {
    const isQuantizer = is(node, 'quantizer');
    if (!isQuantizer && (stops(node) || !node.inputs.some((name) => values.has(name)))) continue;
    for (const output of node.outputs) if (output && !carriesGradient(graph, output)) values.add(output);
  }
  return values;
}

function give(arriving: Map<Name, Name[]>, value: Name, dX: Name): void {
  const list = arriving.get(value);
  if (list) list.push(dX);
  else arriving.set(value, [dX]);
}

/** All that arrives at a value as one gradient; the sum is written once. */
function sum(b: Builder, parts: Name[] | undefined): Name | undefined {
  if (parts && parts.length > 1) parts.splice(0, parts.length, b.op('Sum', [...parts]));
  return parts?.[0];
}

function zeros(b: Builder, graph: Graph, name: Name): Name {
  const info = valueInfo(graph, name);
  if (info.type !== undefined && !isFloat(info.type))
    throw new GradcamppError('INVALID_OPTION', `"wrt" must name float values; "${name}" is not one.`);
  return b.mul(b.op('Expand', [b.scalar(0), b.op('Shape', [name])]), b.scalar(0));
}

function carriesGradient(graph: Graph, name: Name): boolean {
  const { type } = valueInfo(graph, name);
  return type === undefined || isFloat(type);
}

function floatTypeOf(graph: Graph, node: Node): DataType {
  const types = [...node.outputs, ...node.inputs].map((name) => name && valueInfo(graph, name).type);
  return types.includes(DataType.DOUBLE) ? DataType.DOUBLE : DataType.FLOAT;
}

function intersection(a: ReadonlySet<Name>, b: ReadonlySet<Name>): Set<Name> {
  return new Set([...a].filter((name) => b.has(name)));
}
