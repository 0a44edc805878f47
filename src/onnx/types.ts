import { TensorProto_DataType as DataType } from './onnx_pb.js';

export { DataType };

/** Bits an element takes; strings have none. */
const bits: Partial<Record<DataType, number>> = {
  [DataType.FLOAT]: 32,
  [DataType.UINT8]: 8,
  [DataType.INT8]: 8,
  [DataType.UINT16]: 16,
  [DataType.INT16]: 16,
  [DataType.INT32]: 32,
  [DataType.INT64]: 64,
  [DataType.BOOL]: 8,
  [DataType.FLOAT16]: 16,
  [DataType.DOUBLE]: 64,
  [DataType.UINT32]: 32,
  [DataType.UINT64]: 64,
  [DataType.COMPLEX64]: 64,
  [DataType.COMPLEX128]: 128,
  [DataType.BFLOAT16]: 16,
  [DataType.FLOAT8E4M3FN]: 8,
  [DataType.FLOAT8E4M3FNUZ]: 8,
  [DataType.FLOAT8E5M2]: 8,
  [DataType.FLOAT8E5M2FNUZ]: 8,
  [DataType.FLOAT8E8M0]: 8,
  [DataType.UINT4]: 4,
  [DataType.INT4]: 4,
  [DataType.FLOAT4E2M1]: 4,
  [DataType.UINT2]: 2,
  [DataType.INT2]: 2,
};

/** Bytes that `count` elements take, packed as ONNX packs them; undefined for strings and unknown types. */
export function byteLength(type: DataType, count: number): number | undefined {
  const width = bits[type];
  return width === undefined ? undefined : Math.ceil((count * width) / 8);
}

/** The name people know a type by: `float`, `int64`, ...; `unknown` where a file leaves it out. */
export function typeName(type: number): string {
  if (type === DataType.UNDEFINED) return 'unknown';
  return (DataType[type] ?? `type ${type}`).toLowerCase();
}

export function isFloat(type: DataType): boolean {
  return (
    type === DataType.FLOAT ||
    type === DataType.DOUBLE ||
    type === DataType.FLOAT16 ||
    type === DataType.BFLOAT16
  );
}
