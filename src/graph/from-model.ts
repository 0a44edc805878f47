import { create } from '@bufbuild/protobuf';
import { GradcamppError } from '../errors.js';
import { type Constant, constantOf, floatConstant, int64Constant, mostDims } from '../onnx/constant.js';
import {
  type AttributeProto,
  type GraphProto,
  GraphProtoSchema,
  AttributeProto_AttributeType as Kind,
  type NodeProto,
  type OperatorSetIdProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.js';
import type { Model } from '../onnx/model.js';
import { isFloat } from '../onnx/types.js';
import { exactInts } from './attributes.js';
import {
  type Attribute,
  captures,
  type Dim,
  type Graph,
  label,
  type Node,
  readsOf,
  type ValueInfo,
} from './graph.js';
import { inOrder } from './order.js';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The default domain has two spellings. */
const domainOf = (domain: string): string => (domain === 'ai.onnx' ? '' : domain);

/**
 * The graph of a model: Constant nodes become constants, inputs that only give an initializer's
 * default (IR < 4) are constants, not inputs.
 */
export function graphOf(model: Model): Graph {
  const { proto } = model;
  const domains = domainsOf(proto.opsetImport);
  const opset = domains.get('');
  if (opset === undefined)
    throw new GradcamppError(
      'INVALID_MODEL',
      `"${model.name}" does not use the ONNX operator set; received ${[...domains.keys()].join(', ')}.`,
    );
  if (opset < 7)
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `"${model.name}" uses operator set ${opset}; the oldest that is read is 7. Convert it with onnx.version_converter.`,
    );
  domains.delete('');
  const metadata = new Map(proto.metadataProps.map((entry) => [entry.key, entry.value]));
  const graph = {
    ...readGraph(proto.graph as GraphProto, { model, opset, domains, metadata }),
    ownOpset: opset,
  };
  checkReads(graph, model.name);
  return graph;
}

/** @throws GradcamppError INVALID_MODEL where something is read that nothing makes */
function checkReads(graph: Graph, model: string): void {
  const [missing] = captures(graph);
  if (missing === undefined) return;
  const reader = graph.nodes.find((node) => readsOf(node).includes(missing));
  throw new GradcamppError(
    'INVALID_MODEL',
    `"${model}" is incomplete: ${reader ? `${label(reader)} reads` : 'it returns'} ${JSON.stringify(missing)}, which is no input and no weight, and which no node makes.`,
  );
}

/** A function of the model's own: calls of it stand for its body. */
export interface Body {
  /** Its inputs and outputs have names alone. */
  readonly graph: Graph;
  /** Attributes that a call may leave out. */
  readonly defaults: ReadonlyMap<string, Attribute>;
}

/** What a call and the function that it calls have in common. */
export function functionKey({ domain, opType, overload = '' }: Node): string {
  return JSON.stringify([domain, opType, overload]);
}

/** The functions that a model brings along, by `functionKey`. */
export function functionsOf(model: Model): Map<string, Body> {
  const main = domainsOf(model.proto.opsetImport);
  const bodies = new Map<string, Body>();
  for (const proto of model.proto.functions) {
    const domains = new Map([...main, ...domainsOf(proto.opsetImport)]);
    const opset = domains.get('') ?? 0;
    domains.delete('');
    const names = (list: readonly string[]) => list.map((name) => create(ValueInfoProtoSchema, { name }));
    const body = create(GraphProtoSchema, {
      name: proto.name,
      node: proto.node,
      input: names(proto.input),
      output: names(proto.output),
    });
    const context = { model, opset, domains, metadata: new Map<string, string>() };
    const key = JSON.stringify([domainOf(proto.domain), proto.name, proto.overload]);
    const defaults = proto.attributeProto.map((item) => [item.name, readAttribute(item, context)] as const);
    bodies.set(key, { graph: readGraph(body, context), defaults: new Map(defaults) });
  }
  return bodies;
}

function domainsOf(sets: readonly OperatorSetIdProto[]): Map<string, number> {
  return new Map(sets.map((set) => [domainOf(set.domain), Number(set.version)]));
}

interface Context {
  readonly model: Model;
  readonly opset: number;
  readonly domains: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** A graph or subgraph, its nodes in an order in which they can run. */
function readGraph(proto: GraphProto, context: Context): Graph {
  const constants = new Map<string, Constant>();
  for (const tensor of proto.initializer)
    constants.set(tensor.name, constantOf(tensor, context.model.external));
  if (proto.sparseInitializer.length > 0)
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `"${context.model.name}" stores ${proto.sparseInitializer.length} weights as sparse tensors, which are not read. Save it with dense ones.`,
    );
  const nodes: Node[] = [];
  for (const nodeProto of proto.node) {
    const node = readNode(nodeProto, context);
    const constant = node.opType === 'Constant' && node.domain === '' ? constantValue(node) : undefined;
    if (constant) constants.set(node.outputs[0], constant);
    else nodes.push(node);
  }
  const inputs = proto.input.filter((input) => !constants.has(input.name)).map(readValueInfo);
  const outputs = proto.output.map(readValueInfo);
  const values = new Map<string, ValueInfo>();
  for (const info of [...proto.valueInfo.map(readValueInfo), ...inputs, ...outputs])
    values.set(info.name, info);
  const { opset, domains, metadata } = context;
  return {
    name: proto.name || 'graph',
    opset,
    domains,
    inputs,
    outputs,
    nodes: inOrder(nodes),
    constants,
    values,
    metadata,
  };
}

function readNode(proto: NodeProto, context: Context): Node {
  return {
    opType: proto.opType,
    domain: domainOf(proto.domain),
    ...(proto.overload ? { overload: proto.overload } : {}),
    name: proto.name,
    inputs: proto.input,
    outputs: proto.output,
    attributes: new Map(proto.attribute.map((item) => [item.name, readAttribute(item, context)])),
  };
}

function readAttribute(proto: AttributeProto, context: Context): Attribute {
  if (proto.refAttrName) return { kind: 'other', value: proto };
  switch (kindOf(proto)) {
    case Kind.INT:
      return { kind: 'int', value: Number(proto.i), ...(isExact(proto.i) ? {} : { exact: proto.i }) };
    case Kind.FLOAT:
      return { kind: 'float', value: proto.f };
    case Kind.STRING:
      return textOr(proto, () => ({ kind: 'string', value: decoder.decode(proto.s) }));
    case Kind.INTS:
      return {
        kind: 'ints',
        value: proto.ints.map(Number),
        ...(proto.ints.every(isExact) ? {} : { exact: proto.ints }),
      };
    case Kind.FLOATS:
      return { kind: 'floats', value: proto.floats };
    case Kind.STRINGS:
      return textOr(proto, () => ({
        kind: 'strings',
        value: proto.strings.map((item) => decoder.decode(item)),
      }));
    case Kind.TENSOR:
      return proto.t
        ? { kind: 'tensor', value: constantOf(proto.t, context.model.external) }
        : { kind: 'other', value: proto };
    case Kind.GRAPH:
      return proto.g
        ? { kind: 'graph', value: readGraph(proto.g, context) }
        : { kind: 'other', value: proto };
    default:
      return { kind: 'other', value: proto };
  }
}

function isExact(value: bigint): boolean {
  return Number.isSafeInteger(Number(value));
}

/** Bytes that are no text stay as they are. */
function textOr(proto: AttributeProto, read: () => Attribute): Attribute {
  try {
    return read();
  } catch {
    return { kind: 'other', value: proto };
  }
}

/** Early exporters left the kind out; then the field that is set tells. */
function kindOf(proto: AttributeProto): Kind {
  if (proto.type !== Kind.UNDEFINED) return proto.type;
  if (proto.ints.length > 0) return Kind.INTS;
  if (proto.floats.length > 0) return Kind.FLOATS;
  if (proto.strings.length > 0) return Kind.STRINGS;
  if (proto.t) return Kind.TENSOR;
  if (proto.g) return Kind.GRAPH;
  if (proto.s.length > 0) return Kind.STRING;
  return proto.f === 0 ? Kind.INT : Kind.FLOAT;
}

/** The value of a Constant node in any of its spellings; undefined for strings and sparse tensors. */
export function constantValue(node: Node): Constant | undefined {
  const [entry] = node.attributes;
  if (entry === undefined) return undefined;
  const [name, attribute] = entry;
  if (attribute.kind === 'tensor') return attribute.value;
  const ints = exactInts(node, name);
  if (name === 'value_int' && ints) return int64Constant(ints, []);
  if (name === 'value_ints' && ints) return int64Constant(ints);
  if (name === 'value_float' && attribute.kind === 'float') return floatConstant([attribute.value], []);
  if (name === 'value_floats' && attribute.kind === 'floats')
    return floatConstant(attribute.value, [attribute.value.length]);
  return undefined;
}

function readValueInfo(proto: ValueInfoProto): ValueInfo {
  const tensor = proto.type?.value.case === 'tensorType' ? proto.type.value.value : undefined;
  const count = tensor?.shape?.dim.length ?? 0;
  if (count > mostDims)
    throw new GradcamppError(
      'INVALID_MODEL',
      `The value ${JSON.stringify(proto.name)} has ${count} dims; at most ${mostDims} are read.`,
    );
  const dims = tensor?.shape?.dim.map((dim): Dim => {
    if (dim.value.case === 'dimValue') return dim.value.value < 0n ? '' : Number(dim.value.value);
    return dim.value.case === 'dimParam' ? dim.value.value : '';
  });
  return { name: proto.name, type: tensor?.elemType, dims };
}

/** Inputs that pictures can be fed to: float tensors, or ones whose type is not told. */
export function isFloatValue(info: ValueInfo): boolean {
  return info.type === undefined || isFloat(info.type);
}
