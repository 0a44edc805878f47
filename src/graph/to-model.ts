import { create, toBinary } from '@bufbuild/protobuf';
import { type Constant, toInt64 } from '../onnx/constant.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as Kind,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type TypeProto,
  TypeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from '../onnx/onnx_pb.js';
import type { Attribute, Graph, Node, ValueInfo } from './graph.js';

const encoder = new TextEncoder();

/** IR versions go with operator sets; this is the oldest that knows the set. */
function irVersion(opset: number): bigint {
  if (opset >= 25) return 12n;
  if (opset >= 23) return 11n;
  return opset >= 21 ? 10n : 8n;
}

/**
 * A model for a graph. Constants for which `keep` is false are left out of it: the caller stores them
 * as external data or as fragments of their own.
 */
export function modelOf(graph: Graph, keep: (name: string, constant: Constant) => boolean): ModelProto {
  return create(ModelProtoSchema, {
    irVersion: irVersion(graph.opset),
    producerName: 'gradcampp',
    opsetImport: [['', graph.opset] as const, ...graph.domains].map(([domain, version]) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
    ),
    graph: graphProto(graph, keep),
    metadataProps: [...graph.metadata].map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
  });
}

export function encode(model: ModelProto): Uint8Array {
  return toBinary(ModelProtoSchema, model);
}

function graphProto(graph: Graph, keep: (name: string, constant: Constant) => boolean): GraphProto {
  const initializer: TensorProto[] = [];
  for (const [name, constant] of graph.constants)
    if (keep(name, constant)) initializer.push(tensorProto(name, constant));
  return create(GraphProtoSchema, {
    name: graph.name,
    node: graph.nodes.map(nodeProto),
    initializer,
    input: graph.inputs.map(valueInfoProto),
    output: graph.outputs.map(valueInfoProto),
  });
}

function nodeProto(node: Node): ReturnType<typeof create<typeof NodeProtoSchema>> {
  return create(NodeProtoSchema, {
    opType: node.opType,
    domain: node.domain,
    name: node.name,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: Array.from(node.attributes, ([name, attribute]) => attributeProto(name, attribute)),
  });
}

function attributeProto(name: string, attribute: Attribute): AttributeProto {
  switch (attribute.kind) {
    case 'int':
      return create(AttributeProtoSchema, {
        name,
        type: Kind.INT,
        i: attribute.exact ?? toInt64(attribute.value),
      });
    case 'float':
      return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: attribute.value });
    case 'string':
      return create(AttributeProtoSchema, { name, type: Kind.STRING, s: encoder.encode(attribute.value) });
    case 'ints':
      return create(AttributeProtoSchema, {
        name,
        type: Kind.INTS,
        ints: attribute.exact ? [...attribute.exact] : attribute.value.map(toInt64),
      });
    case 'floats':
      return create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: [...attribute.value] });
    case 'strings':
      return create(AttributeProtoSchema, {
        name,
        type: Kind.STRINGS,
        strings: attribute.value.map((item) => encoder.encode(item)),
      });
    case 'tensor':
      return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: tensorProto('', attribute.value) });
    case 'graph':
      return create(AttributeProtoSchema, {
        name,
        type: Kind.GRAPH,
        g: graphProto(attribute.value, () => true),
      });
    case 'other':
      return attribute.value;
  }
}

export function tensorProto(name: string, constant: Constant): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: constant.dims.map(BigInt),
    dataType: constant.type,
    ...(constant.strings ? { stringData: [...constant.strings] } : { rawData: constant.bytes }),
  });
}

export function valueInfoProto(info: ValueInfo): ValueInfoProto {
  return create(ValueInfoProtoSchema, { name: info.name, type: typeProto(info) });
}

function typeProto(info: ValueInfo): TypeProto | undefined {
  if (info.type === undefined) return undefined;
  const dim = info.dims?.map((size) => ({
    value:
      typeof size === 'number'
        ? { case: 'dimValue' as const, value: BigInt(size) }
        : size === ''
          ? { case: undefined }
          : { case: 'dimParam' as const, value: size },
  }));
  const shape = dim && { dim };
  return create(TypeProtoSchema, {
    value: { case: 'tensorType', value: { elemType: info.type, shape } },
  } as never);
}
