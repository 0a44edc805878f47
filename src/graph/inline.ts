import { GradcamppError } from '../errors.js';
import type { Constant } from '../onnx/constant.js';
import { type Body, constantValue, functionKey } from './from-model.js';
import { type Attribute, type Graph, label, type Node } from './graph.js';
import { freshName, namesIn } from './writer.js';

/** Beyond this many calls a model is not a network but a trap: functions that call functions multiply. */
const mostCalls = 100_000;

/** Where inlined nodes and constants go. */
interface Target {
  readonly nodes: Node[];
  readonly constants: Map<string, Constant>;
  readonly taken: Set<string>;
}

/**
 * Copies a body in place of a node: its inputs and outputs take the outer names, all other values names of their own.
 *
 * @param inputs outer names for the body's inputs ('' where absent); names that it captures stay
 * @param outputs outer names for its outputs ('' where nobody wants one)
 * @param attribute what stands for an attribute of its nodes; undefined leaves it out
 */
export function inlineBody(
  body: Graph,
  call: Pick<Node, 'inputs' | 'outputs' | 'name'>,
  target: Target,
  attribute: (value: Attribute) => Attribute | undefined = (value) => value,
): void {
  const { nodes, constants, taken } = target;
  const names = new Map<string, string>([['', '']]);
  const prefix = call.name || call.outputs.find(Boolean) || body.name;
  body.inputs.forEach(({ name }, i) => {
    names.set(name, call.inputs[i] ?? '');
  });
  const made = new Set([...body.constants.keys(), ...body.nodes.flatMap((node) => node.outputs)]);
  const copies: [string, string][] = [];
  body.outputs.forEach(({ name }, i) => {
    const outer = call.outputs[i];
    if (!outer) return;
    // An output that is an input, a captured value or another output too needs a copy.
    if (made.has(name) && !names.has(name)) names.set(name, outer);
    else copies.push([name, outer]);
  });
  for (const name of made) if (!names.has(name)) names.set(name, freshName(`${prefix}/${name}`, taken));
  const outer = (name: string) => names.get(name) ?? name;
  const renamed = (graph: Graph): Graph => ({
    ...graph,
    outputs: graph.outputs.map((info) => ({ ...info, name: outer(info.name) })),
    nodes: graph.nodes.map(rename),
  });
  const rename = (node: Node): Node => {
    const attributes = new Map<string, Attribute>();
    for (const [name, given] of node.attributes) {
      const value = attribute(given);
      if (value?.kind === 'graph') attributes.set(name, { kind: 'graph', value: renamed(value.value) });
      else if (value) attributes.set(name, value);
    }
    return {
      ...node,
      name: '',
      inputs: node.inputs.map(outer),
      outputs: node.outputs.map(outer),
      attributes,
    };
  };
  for (const [name, constant] of body.constants) constants.set(outer(name), constant);
  for (const node of body.nodes) {
    const copy = rename(node);
    const constant = copy.opType === 'Constant' && copy.domain === '' ? constantValue(copy) : undefined;
    if (constant) constants.set(copy.outputs[0], constant);
    else nodes.push({ ...copy, name: node.name ? `${prefix}/${node.name}` : '' });
  }
  for (const [name, output] of copies)
    nodes.push({
      opType: 'Identity',
      domain: '',
      name: output,
      inputs: [outer(name)],
      outputs: [output],
      attributes: new Map(),
    });
}

/**
 * The graph with calls of the model's own functions written out, functions that call functions too.
 *
 * @throws GradcamppError INVALID_MODEL where a function calls itself
 */
export function inlineFunctions(graph: Graph, functions: ReadonlyMap<string, Body>): Graph {
  if (functions.size === 0) return graph;
  const target = { nodes: [] as Node[], constants: new Map(graph.constants), taken: namesIn(graph) };
  let calls = 0;
  const write = (nodes: readonly Node[], into: Target, callers: readonly string[]): void => {
    for (const node of nodes) {
      const key = functionKey(node);
      const body = functions.get(key);
      if (!body) {
        into.nodes.push(withInlinedSubgraphs(node, functions));
        continue;
      }
      if (++calls > mostCalls)
        throw new GradcamppError(
          'UNSUPPORTED_MODEL',
          `The model calls functions more than ${mostCalls} times, which is no network.`,
        );
      if (callers.includes(key))
        throw new GradcamppError('INVALID_MODEL', `${label(node)} calls itself, so the model has no end.`);
      const inner: Target = { ...into, nodes: [] };
      inlineBody(body.graph, node, inner, (value) => referred(value, node, body));
      write(inner.nodes, into, [...callers, key]);
    }
  };
  write(graph.nodes, target, []);
  const used = new Set([...functions.keys()].map((key) => (JSON.parse(key) as string[])[0]));
  const left = new Set(target.nodes.map((node) => node.domain));
  const domains = new Map(graph.domains);
  for (const { graph: body } of functions.values())
    for (const [domain, version] of body.domains) if (left.has(domain)) domains.set(domain, version);
  for (const domain of used) if (!left.has(domain)) domains.delete(domain);
  return { ...graph, nodes: target.nodes, constants: target.constants, domains };
}

function withInlinedSubgraphs(node: Node, functions: ReadonlyMap<string, Body>): Node {
  if (![...node.attributes.values()].some(({ kind }) => kind === 'graph')) return node;
  const attributes = new Map(node.attributes);
  for (const [name, { kind, value }] of node.attributes)
    if (kind === 'graph') attributes.set(name, { kind, value: inlineFunctions(value, functions) });
  return { ...node, attributes };
}

/** An attribute that refers to one of the function's: the call's, or the default; nothing where neither gives it. */
function referred(value: Attribute, call: Node, body: Body): Attribute | undefined {
  if (value.kind !== 'other' || !value.value.refAttrName) return value;
  const source = value.value.refAttrName;
  return call.attributes.get(source) ?? body.defaults.get(source);
}
