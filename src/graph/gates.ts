import { is } from './facts.js';
import { type Graph, type Node, producers } from './graph.js';
import { isFloat } from '../onnx/types.js';
import { sizeOf } from '../tensor.js';

/** Activations that exporters write as several operators: Swish, GELU of both kinds, HardSwish, Mish. */
export interface Gates {
  /** x · f(x), and what only scales it. */
  readonly gated: ReadonlySet<string>;
  /** Values on the way from x to x · f(x), which are no activations of their own. */
  readonly parts: ReadonlySet<string>;
}

/** Finds every product of a value with an elementwise, bent function of itself. */
export function findGates(graph: Graph): Gates {
  const made = producers(graph);
  const gated = new Set<string>();
  const parts = new Set<string>();
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    if (node.domain !== '') continue;
    if (node.opType === 'Mul') {
      const found = gateOf(node, graph, made);
      if (found) {
        gated.add(output);
        for (const name of found) parts.add(name);
        continue;
      }
    }
    const [source, ...others] = node.inputs.filter((name) => !isNumber(graph, name));
    if ((node.opType === 'Mul' || node.opType === 'Div') && others.length === 0 && gated.has(source)) {
      gated.add(output);
      parts.add(source);
    }
  }
  return { gated, parts };
}

/** The values between x and a product that is x · f(x); undefined where it is none. */
function gateOf(
  { inputs: [left, right] }: Node,
  graph: Graph,
  made: ReadonlyMap<string, Node>,
): string[] | undefined {
  const [a, b] = [left, right].map((name) => trail(name, graph, made));
  const root = a.names.find((name) => b.names.includes(name));
  if (root === undefined) return undefined;
  const between = [a, b].map(({ names }) => names.slice(0, names.indexOf(root)));
  const isBent = between.map((names) => names.some((name) => isBend(made.get(name))));
  return isBent[0] !== isBent[1] ? between.flat() : undefined;
}

function isBend(node: Node | undefined): boolean {
  return node !== undefined && is(node, 'bends');
}

/** GELU by tanh is the longest: 0.5 x (1 + tanh(c (x + 0.04 x³))). */
const mostSteps = 12;

/** A value and what it is computed from, one elementwise step after the other. */
function trail(name: string, graph: Graph, made: ReadonlyMap<string, Node>): { names: string[] } {
  const names = [name];
  for (
    let node = made.get(name);
    node && names.length < mostSteps;
    node = made.get(names[names.length - 1])
  ) {
    if (!isBend(node) && !is(node, 'scales')) break;
    const sources = [...new Set(node.inputs.filter((input) => input && !isNumber(graph, input)))];
    const source = sources.length === 1 ? sources[0] : rootOfSum(node, sources, graph, made);
    if (source === undefined) break;
    names.push(source);
  }
  return { names };
}

/** x of x + c x³ and x · (1 + c x²): one operand is computed from the other. */
function rootOfSum(
  node: Node,
  [a, b, ...more]: readonly string[],
  graph: Graph,
  made: ReadonlyMap<string, Node>,
): string | undefined {
  if (more.length > 0 || b === undefined || (node.opType !== 'Add' && node.opType !== 'Mul'))
    return undefined;
  if (isComputedFrom(a, b, graph, made)) return b;
  return isComputedFrom(b, a, graph, made) ? a : undefined;
}

/** Whether a value is a polynomial of another, by a few elementwise steps. */
function isComputedFrom(
  value: string,
  root: string,
  graph: Graph,
  made: ReadonlyMap<string, Node>,
  steps = 5,
): boolean {
  if (value === root) return true;
  const node = made.get(value);
  if (!node || steps === 0 || !is(node, 'scales')) return false;
  const sources = node.inputs.filter((input) => input && !isNumber(graph, input));
  return sources.length > 0 && sources.every((input) => isComputedFrom(input, root, graph, made, steps - 1));
}

/** A constant that scales or shifts all of a tensor alike. */
function isNumber(graph: Graph, name: string): boolean {
  const constant = graph.constants.get(name);
  return constant !== undefined && isFloat(constant.type) && sizeOf(constant.dims) === 1;
}
