import { GradcamppError } from '../errors.js';
import { withGraphs } from './attributes.js';
import { Builder, Names, rewritten } from './builder.js';
import { type Body, constantValue, functionKey } from './from-model.js';
import { type Attribute, type Graph, label, namesOf, type Node, type ValueInfo } from './graph.js';

/** Beyond this many nodes a model is not a network but a trap: functions that call functions multiply. */
const mostNodes = 250_000;

type Rename = (name: string) => string;

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
  b: Builder,
  attribute: (value: Attribute) => Attribute | undefined = (value) => value,
): void {
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
  for (const name of made) if (!names.has(name)) names.set(name, b.names.free(`${prefix}/${name}`));
  const outer: Rename = (name) => names.get(name) ?? name;
  const renamed = (graph: Graph, around: Rename): Graph => {
    const own = new Map(namesOf(graph).map((name) => [name, b.names.free(`${prefix}/${name}`)]));
    const rename: Rename = (name) => own.get(name) ?? around(name);
    const info = (value: ValueInfo) => ({ ...value, name: rename(value.name) });
    return {
      ...graph,
      inputs: graph.inputs.map(info),
      outputs: graph.outputs.map(info),
      constants: new Map(Array.from(graph.constants, ([name, constant]) => [rename(name), constant])),
      values: new Map(Array.from(graph.values, ([name, value]) => [rename(name), info(value)])),
      nodes: graph.nodes.map((node) => copyOf(node, rename)),
    };
  };
  const copyOf = (node: Node, rename: Rename): Node => {
    const attributes = new Map<string, Attribute>();
    for (const [name, given] of node.attributes) {
      const value = attribute(given);
      if (value?.kind === 'graph')
        attributes.set(name, { kind: 'graph', value: renamed(value.value, rename) });
      else if (value) attributes.set(name, value);
    }
    return {
      ...node,
      name: node.name ? `${prefix}/${node.name}` : '',
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
      attributes,
    };
  };
  for (const [name, constant] of body.constants) b.constants.set(outer(name), constant);
  for (const node of body.nodes) {
    const copy = copyOf(node, outer);
    const constant = copy.opType === 'Constant' && copy.domain === '' ? constantValue(copy) : undefined;
    if (constant) b.constants.set(copy.outputs[0], constant);
    else b.keep(copy);
  }
  for (const [name, output] of copies) b.copy(outer(name), output);
}

/** What is inlined, and how much of it there is so far. */
interface Inlining {
  readonly functions: ReadonlyMap<string, Body>;
  /** Of the whole model: values of graphs inside may not be called like those around them. */
  readonly names: Names;
  nodes: number;
}

/**
 * The graph with calls of the model's own functions written out, also in functions and in graphs inside nodes.
 *
 * @throws GradcamppError INVALID_MODEL where a function calls itself, UNSUPPORTED_MODEL where there is no end in sight
 */
export function inlineFunctions(graph: Graph, functions: ReadonlyMap<string, Body>): Graph {
  if (functions.size === 0) return graph;
  const inlined = inlineCalls(graph, { functions, names: Names.of(graph), nodes: 0 }, []);
  const used = new Set([...functions.keys()].map((key) => (JSON.parse(key) as string[])[0]));
  const left = domainsOf(inlined);
  const domains = new Map(graph.domains);
  for (const { graph: body } of functions.values())
    for (const [domain, version] of body.domains) if (left.has(domain)) domains.set(domain, version);
  for (const domain of used) if (!left.has(domain)) domains.delete(domain);
  return { ...inlined, domains };
}

/** @param callers the functions that the graph is in */
function inlineCalls(graph: Graph, inlining: Inlining, callers: readonly string[]): Graph {
  const b = new Builder(inlining.names);
  writeCalls(graph.nodes, b, inlining, callers);
  return rewritten(graph, b);
}

function writeCalls(
  nodes: readonly Node[],
  b: Builder,
  inlining: Inlining,
  callers: readonly string[],
): void {
  inlining.nodes += nodes.length;
  if (inlining.nodes > mostNodes)
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `The model's functions call each other until there are more than ${mostNodes} nodes; that is refused.`,
    );
  for (const node of nodes) {
    const key = functionKey(node);
    const body = inlining.functions.get(key);
    if (!body) {
      b.keep(withGraphs(node, (inner) => inlineCalls(inner, inlining, callers)));
      continue;
    }
    if (callers.includes(key))
      throw new GradcamppError('INVALID_MODEL', `${label(node)} calls itself, so the model has no end.`);
    const written = new Builder(inlining.names);
    inlineBody(body.graph, node, written, (value) => referred(value, node, body));
    for (const [name, constant] of written.constants) b.constants.set(name, constant);
    writeCalls(written.nodes, b, inlining, [...callers, key]);
  }
}

function domainsOf(graph: Graph, domains = new Set<string>()): Set<string> {
  for (const node of graph.nodes) {
    domains.add(node.domain);
    for (const { kind, value } of node.attributes.values()) if (kind === 'graph') domainsOf(value, domains);
  }
  return domains;
}

/** An attribute that refers to one of the function's: the call's, or the default; nothing where neither gives it. */
function referred(value: Attribute, call: Node, body: Body): Attribute | undefined {
  if (value.kind !== 'other' || !value.value.refAttrName) return value;
  const source = value.value.refAttrName;
  return call.attributes.get(source) ?? body.defaults.get(source);
}
