import { attributesOf, type Plain } from '../../src/graph/attributes.js';
import type { Dim, Graph, Node, ValueInfo } from '../../src/graph/graph.js';
import { boolConstant, type Constant, floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { table } from '../../src/autodiff/table.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';

/** One input of a case. Real ones are differentiated unless `wrt` is false. */
export interface Input {
  /** `int8` ones are always stored. */
  readonly kind: 'real' | 'int64' | 'int32' | 'int8' | 'bool';
  readonly dims: readonly number[];
  readonly values: readonly number[] | undefined;
  readonly low: number;
  readonly high: number;
  /** Stored in the model instead of fed. */
  readonly constant: boolean;
  readonly wrt: boolean;
  /** Dims stay numbers in every variant. */
  readonly fixed: boolean;
}

/** A float input: its own `values`, or distinct ones spread over low…high (default −2…2) in random order. */
export function real(dims: readonly number[], options: Partial<Input> = {}): Input {
  const base = { kind: 'real', values: undefined, low: -2, high: 2 } as const;
  return { ...base, constant: false, wrt: true, fixed: false, ...options, dims };
}

/** A fed float input whose dims are never symbolic. */
export function weight(dims: readonly number[], options: Partial<Input> = {}): Input {
  return real(dims, { fixed: true, ...options });
}

/** Whole numbers, stored in the model unless `constant` is false. */
export function whole(
  values: readonly number[],
  dims: readonly number[] = [values.length],
  options: Partial<Input> = {},
): Input {
  return {
    kind: 'int64',
    dims,
    values,
    low: 0,
    high: 0,
    constant: true,
    wrt: false,
    fixed: false,
    ...options,
  };
}

/** Booleans as 0 and 1, stored in the model unless `constant` is false. */
export function flags(
  values: readonly number[],
  dims: readonly number[] = [values.length],
  options: Partial<Input> = {},
): Input {
  return { ...whole(values, dims, options), kind: 'bool' };
}

export interface NodeSpec {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Plain>>;
}

/**
 * What becomes symbolic: the leading dim; the dims from the third on; all dims but ones; all dims, without
 * even a name that says which are equal.
 */
export const variants = ['batch', 'space', 'all', 'unknown'] as const;
export type Variant = (typeof variants)[number];

/** One operator in one setting, as data; `check` says what is asserted of it. */
export interface Case {
  /** The row of the table that it is for. */
  readonly op: string;
  /** What is special about it; unique within the operator. */
  readonly name: string;
  /** `x0`, `x1`, ...; undefined for an optional input that is absent. */
  readonly inputs: readonly (Input | undefined)[];
  readonly attributes?: Readonly<Record<string, Plain>>;
  readonly domain?: string;
  /** Number of outputs of the node, `y0`, `y1`, ...; default 1. */
  readonly outputs?: number;
  /** Which outputs a gradient arrives at; default: all of a float type. */
  readonly seeded?: readonly number[];
  /** A few nodes instead of the one, from `x0`... to `y0`...; the row's operator is one of them. */
  readonly nodes?: readonly NodeSpec[];
  /** The same in operators that ONNX Runtime can run, where it cannot run the case itself. */
  readonly meaning?: readonly NodeSpec[];
  /** Operator sets; everything is checked at the first, the others must give the same. Default 18 (or where it appears) and the newest. */
  readonly opsets?: readonly number[];
  /** Default 'double'; 'float' where ONNX Runtime has no double kernel for the operator or its gradient. */
  readonly type?: 'float' | 'double';
  /** Of the central differences; default 2⁻⁹ for double and 2⁻⁶ for float. */
  readonly step?: number;
  /** How often the result is differentiated again; default 2, the gradient of the gradient. */
  readonly order?: 1 | 2 | 3;
  /** Default: batch, space, all. */
  readonly dynamic?: readonly Variant[];
  /** dY/dx0... that are known by hand, for seeds of ones; stands in for the differences (kinks, ties). */
  readonly byHand?: readonly (readonly number[])[];
}

export interface Built {
  readonly graph: Graph;
  /** What it is measured against: itself, or its meaning. */
  readonly original: Graph;
  /** Fed inputs, and the constants that are differentiated. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly wrt: readonly string[];
}

/** The graph of a case, as an exporter would write it. */
export function buildCase(item: Case, opset: number, float: DataType, variant?: Variant): Built {
  const constants = new Map<string, Constant>();
  const inputs: ValueInfo[] = [];
  const feeds: Record<string, Tensor> = {};
  const wrt: string[] = [];
  const random = randomNumbers(hash(`${item.op} ${item.name}`));
  item.inputs.forEach((input, i) => {
    if (!input) return;
    const name = `x${i}`;
    const values = input.values ?? spread(sizeOf(input.dims), input, i, random);
    if (input.kind === 'real' && input.wrt) wrt.push(name);
    if (input.constant) constants.set(name, constantOf(input, values, float));
    else
      inputs.push({
        name,
        type: typeOf(input, float),
        dims: variant && !input.fixed ? symbolic(input.dims, variant) : input.dims,
      });
    if (!input.constant || (input.kind === 'real' && input.wrt)) feeds[name] = tensorOf(input, values, float);
  });
  const outputNames = Array.from({ length: item.outputs ?? 1 }, (_, i) => `y${i}`);
  const specs = item.nodes ?? [
    {
      op: item.op,
      domain: item.domain,
      inputs: item.inputs.map((input, i) => (input ? `x${i}` : '')),
      outputs: outputNames,
      attributes: item.attributes,
    },
  ];
  const nodes = specs.map(nodeOf);
  // What stops a gradient mostly gives whole numbers; a cast makes values of them that a gradient can arrive at.
  const results =
    table[item.op].outcome === 'stop' ? outputNames.map((name) => `${name}/float`) : outputNames;
  if (results !== outputNames)
    for (const [i, name] of results.entries())
      nodes.push({
        opType: 'Cast',
        domain: '',
        name,
        inputs: [outputNames[i]],
        outputs: [name],
        attributes: attributesOf({ to: float }),
      });
  const graph: Graph = {
    name: item.op,
    opset,
    domains: new Map(specs.flatMap(({ domain }) => (domain ? [[domain, 1]] : []))),
    inputs,
    outputs: results.map((name) => ({ name, type: undefined, dims: undefined })),
    nodes,
    constants,
    values: new Map(inputs.map((input) => [input.name, input])),
    metadata: new Map(),
  };
  const original = item.meaning ? { ...graph, nodes: item.meaning.map(nodeOf) } : graph;
  return { graph, original, feeds, wrt };
}

function nodeOf({ op, domain = '', inputs, outputs, attributes = {} }: NodeSpec, i: number): Node {
  return { opType: op, domain, name: `${op}_${i}`, inputs, outputs, attributes: attributesOf(attributes) };
}

/**
 * Distinct values on a grid that is shifted from input to input, in random order: the gaps keep differences clear of
 * ties and kinks. Multiples of 2⁻¹², so that a step of a power of two is exact in float32 too.
 */
function spread(count: number, { low, high }: Input, input: number, random: () => number): number[] {
  const shift = (0.37 + 0.23 * input) % 1;
  const values = Array.from({ length: count }, (_, i) => {
    const value = low + ((high - low) * (i + shift)) / count;
    return Math.round(value * 4096) / 4096;
  });
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [values[i], values[j]] = [values[j], values[i]];
  }
  return values;
}

function symbolic(dims: readonly number[], variant: Variant): Dim[] {
  return dims.map((dim, i) => {
    const name = `d${dims.length - i}_${dim}`;
    if (variant === 'unknown') return '';
    if (dim === 1) return dim;
    if (variant === 'all') return name;
    return (variant === 'batch' ? i === 0 : i >= 2) ? name : dim;
  });
}

function typeOf({ kind }: Input, float: DataType): DataType {
  if (kind === 'real') return float;
  if (kind === 'bool') return DataType.BOOL;
  if (kind === 'int8') return DataType.INT8;
  return kind === 'int32' ? DataType.INT32 : DataType.INT64;
}

function constantOf({ kind, dims }: Input, values: readonly number[], float: DataType): Constant {
  if (kind === 'int64') return int64Constant(values, dims);
  if (kind === 'bool')
    return boolConstant(
      values.map((value) => value !== 0),
      dims,
    );
  if (kind === 'int32') return { type: DataType.INT32, dims, bytes: bytesOf(Int32Array.from(values)) };
  if (kind === 'int8') return { type: DataType.INT8, dims, bytes: bytesOf(Int8Array.from(values)) };
  if (float === DataType.FLOAT) return floatConstant(values, dims);
  return { type: DataType.DOUBLE, dims, bytes: bytesOf(Float64Array.from(values)) };
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

function tensorOf({ kind, dims }: Input, values: readonly number[], float: DataType): Tensor {
  if (kind === 'int64') return { type: 'int64', dims, data: BigInt64Array.from(values, BigInt) };
  if (kind === 'int32') return { type: 'int32', dims, data: Int32Array.from(values) };
  if (kind === 'bool') return { type: 'bool', dims, data: Uint8Array.from(values) };
  return realTensor(values, dims, float);
}

export function realTensor(values: ArrayLike<number>, dims: readonly number[], float: DataType): Tensor {
  return float === DataType.DOUBLE
    ? { type: 'float64', dims, data: Float64Array.from(values) }
    : { type: 'float32', dims, data: Float32Array.from(values) };
}

/** A seed for the random numbers of a case: FNV-1a of its name. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text)
    value = Math.imul(value ^ (character.codePointAt(0) as number), 0x01000193) >>> 0;
  return value;
}
