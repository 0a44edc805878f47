import { create, toBinary } from '@bufbuild/protobuf';
import type { Constant } from './constant.js';
import {
  type ModelProto,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation as DataLocation,
  type TensorProto,
  TensorProtoSchema,
} from './onnx_pb.js';

/** Field numbers of the ONNX format: ModelProto.graph, GraphProto.initializer, TensorProto.raw_data. */
const graphField = 7;
const initializerField = 5;
const rawDataField = 9;

/** Above this a protobuf message cannot be read back by most readers. */
export const largestModel = 2 ** 31 - 1;

/** A tensor whose bytes are handed over separately under `location`. */
export function externalTensor(name: string, constant: Constant, location: string): TensorProto {
  const entries = { location, offset: '0', length: String(constant.bytes.byteLength) };
  return create(TensorProtoSchema, {
    name,
    dims: constant.dims.map(BigInt),
    dataType: constant.type,
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) =>
      create(StringStringEntryProtoSchema, { key, value }),
    ),
  });
}

/**
 * The bytes of a model file as segments: the model without its large weights, then one fragment a weight.
 * Repeated occurrences of a sub-message merge (protobuf's rule), so readers see one graph; no weight is copied.
 */
export function modelSegments(model: ModelProto, weights: ReadonlyMap<string, Constant>): Uint8Array[] {
  const segments: Uint8Array[] = [toBinary(ModelProtoSchema, model)];
  for (const [name, constant] of weights) {
    const head = toBinary(
      TensorProtoSchema,
      create(TensorProtoSchema, { name, dims: constant.dims.map(BigInt), dataType: constant.type }),
    );
    const data = [...tag(rawDataField), ...varint(constant.bytes.byteLength)];
    const tensorLength = head.byteLength + data.length + constant.bytes.byteLength;
    const inGraph = [...tag(initializerField), ...varint(tensorLength)];
    const outer = [...tag(graphField), ...varint(inGraph.length + tensorLength)];
    segments.push(Uint8Array.from([...outer, ...inGraph, ...head, ...data]), constant.bytes);
  }
  return segments;
}

function tag(field: number): number[] {
  return varint(field * 8 + 2);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}
