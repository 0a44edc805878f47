import { attributesOf, type Plain } from '../../src/graph/attributes.js';
import type { Graph, Node, ValueInfo } from '../../src/graph/graph.js';
import { type Constant, floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';

/** One step of a random program: which operator, and numbers from which it picks operands and settings. */
export interface Step {
  readonly operator: number;
  readonly picks: readonly number[];
}

export interface Program {
  /** Dims of the inputs, each 1 to 4 of 1 to 5. */
  readonly inputs: readonly (readonly number[])[];
  readonly steps: readonly Step[];
  /** Whether the leading dims of the inputs are symbolic. */
  readonly symbolic: boolean;
  readonly seed: number;
}

interface Value {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Writes the graph of a program; an operator that does not fit the values so far is left out. */
class Writer {
  readonly nodes: Node[] = [];
  readonly constants = new Map<string, Constant>();
  readonly values: Value[];
  readonly #type: DataType;
  readonly #random: () => number;
  #picks: number[] = [];
  #count = 0;

  constructor(values: readonly Value[], type: DataType, random: () => number) {
    this.values = [...values];
    this.#type = type;
    this.#random = random;
  }

  begin(picks: readonly number[]): void {
    this.#picks = [...picks];
  }

  /** A whole number below a limit. */
  below(limit: number): number {
    return (this.#picks.shift() ?? 0) % limit;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** A value, recent ones more often: programs grow deep as well as wide. */
  value(fits: (value: Value) => boolean = () => true): Value | undefined {
    const fitting = this.values.filter(fits);
    if (fitting.length === 0) return undefined;
    const recent = fitting.slice(-3);
    return this.below(2) ? this.pick(recent) : this.pick(fitting);
  }

  /** A node whose output is a new value. */
  op(
    opType: string,
    inputs: readonly (Value | string)[],
    dims: readonly number[],
    attributes: Record<string, Plain | undefined> = {},
  ): Value {
    const value = { name: `v${this.#count++}`, dims };
    this.ops(opType, inputs, [value.name], attributes);
    this.values.push(value);
    return value;
  }

  ops(
    opType: string,
    inputs: readonly (Value | string)[],
    outputs: readonly string[],
    attributes: Record<string, Plain | undefined> = {},
  ): void {
    const names = inputs.map((input) => (typeof input === 'string' ? input : input.name));
    this.nodes.push({
      opType,
      domain: '',
      name: `${opType}_${outputs[0]}`,
      inputs: names,
      outputs,
      attributes: attributesOf(attributes),
    });
  }

  fresh(): string {
    return `v${this.#count++}`;
  }

  ints(values: readonly number[], dims?: readonly number[]): string {
    const name = `k${this.#count++}`;
    this.constants.set(name, int64Constant(values, dims));
    return name;
  }

  floats(values: readonly number[], dims: readonly number[], type = this.#type): string {
    const name = `k${this.#count++}`;
    const bytes = new Uint8Array(Float64Array.from(values).buffer);
    this.constants.set(name, type === DataType.DOUBLE ? { type, dims, bytes } : floatConstant(values, dims));
    return name;
  }

  number(value: number): string {
    return this.floats([value], []);
  }

  weights(dims: readonly number[], scale = 1): string {
    return this.floats(
      Array.from({ length: sizeOf(dims) }, () => (this.#random() * 2 - 1) * scale),
      dims,
    );
  }

  axis(value: Value): number {
    return this.below(value.dims.length);
  }
}

type Maker = (w: Writer) => void;

/** Smooth or with kinks alone; bounded, so that programs do not run away. */
const unary = [
  'Tanh',
  'Sigmoid',
  'Sin',
  'Neg',
  'Abs',
  'Relu',
  'LeakyRelu',
  'Elu',
  'Softsign',
  'Softplus',
  'Selu',
  'Identity',
];
const reductions = [
  'ReduceSum',
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceL2',
  'ReduceLogSumExp',
  'ReduceSumSquare',
];

function broadcast(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const [x, y] = [a, b].map((dims) => [...Array<number>(rank - dims.length).fill(1), ...dims]);
  const dims = x.map((dim, i) => (dim === 1 ? y[i] : dim));
  return x.every((dim, i) => dim === y[i] || dim === 1 || y[i] === 1) && sizeOf(dims) <= 600
    ? dims
    : undefined;
}

const makers: Readonly<Record<string, Maker>> = {
  unary: (w) => {
    const x = w.value();
    if (x) w.op(w.pick(unary), [x], x.dims);
  },
  composed: (w) => {
    const x = w.value();
    if (!x) return;
    const above = w.op('Add', [w.op('Mul', [x, x], x.dims), w.number(1)], x.dims); // x² + 1
    w.op(w.pick(['Sqrt', 'Log', 'Reciprocal']), [above], x.dims);
  },
  binary: (w) => {
    const a = w.value();
    const b = a && w.value((value) => broadcast(a.dims, value.dims) !== undefined);
    if (!a || !b) return;
    const dims = broadcast(a.dims, b.dims) as number[];
    w.op(w.pick(['Add', 'Sub', 'Mul', 'Max', 'Min', 'Sum']), [a, b], dims);
  },
  quotient: (w) => {
    const a = w.value();
    const b = a && w.value((value) => broadcast(a.dims, value.dims) !== undefined);
    if (!a || !b) return;
    const divisor = w.op('Add', [w.op('Sigmoid', [b], b.dims), w.number(0.5)], b.dims);
    w.op('Div', [a, divisor], broadcast(a.dims, b.dims) as number[]);
  },
  where: (w) => {
    const a = w.value();
    const b = a && w.value((value) => broadcast(a.dims, value.dims) !== undefined);
    if (!a || !b) return;
    const dims = broadcast(a.dims, b.dims) as number[];
    const mask = w.fresh();
    w.ops('Greater', [a, b], [mask]);
    w.op('Where', [mask, a, b], dims); // continuous: the larger of both
  },
  matMul: (w) => {
    const a = w.value(({ dims }) => dims.length >= 2);
    if (!a) return;
    const inner = a.dims[a.dims.length - 1];
    const b = w.value(({ dims }) => dims.length === 2 && dims[0] === inner);
    const columns = b?.dims[1] ?? 1 + w.below(4);
    w.op('MatMul', [a, b ?? w.weights([inner, columns])], [...a.dims.slice(0, -1), columns]);
  },
  gemm: (w) => {
    const a = w.value(({ dims }) => dims.length === 2);
    if (!a) return;
    const [transA, transB] = [w.below(2), w.below(2)];
    const [rows, inner] = transA ? [a.dims[1], a.dims[0]] : a.dims;
    const columns = 1 + w.below(4);
    const other = w.weights(transB ? [columns, inner] : [inner, columns]);
    w.op('Gemm', [a, other, w.weights([columns])], [rows, columns], {
      transA,
      transB,
      alpha: { float: 0.5 },
    });
  },
  reduction: (w) => {
    const x = w.value(({ dims }) => dims.length > 0);
    if (!x) return;
    const axis = w.axis(x);
    const keepdims = w.below(2);
    const dims = keepdims ? x.dims.with(axis, 1) : x.dims.toSpliced(axis, 1);
    w.op(w.pick(reductions), [x, w.ints([axis])], dims, { keepdims });
  },
  softmax: (w) => {
    const x = w.value(({ dims }) => dims.length > 0);
    if (x) w.op(w.pick(['Softmax', 'LogSoftmax']), [x], x.dims, { axis: w.axis(x) });
  },
  layerNormalization: (w) => {
    const x = w.value(({ dims }) => dims.length > 0 && dims[dims.length - 1] > 1);
    if (!x) return;
    const width = [x.dims[x.dims.length - 1]];
    w.op('LayerNormalization', [x, w.weights(width), w.weights(width)], x.dims, { epsilon: { float: 0.1 } });
  },
  clip: (w) => {
    const x = w.value();
    if (x) w.op('Clip', [x, w.number(-0.6), w.number(0.8)], x.dims);
  },
  reshape: (w) => {
    const x = w.value();
    if (!x) return;
    const size = sizeOf(x.dims);
    const first = w.pick([1, 2, 3, 4, 5, 6].filter((dim) => size % dim === 0));
    const dims = w.below(3) ? [first, size / first] : [size];
    w.op('Reshape', [x, w.ints(w.below(2) ? dims.with(0, -1) : dims)], dims);
  },
  transpose: (w) => {
    const x = w.value(({ dims }) => dims.length > 1);
    if (!x) return;
    const turn = 1 + w.below(x.dims.length - 1);
    const perm = x.dims.map((_, i) => (i + turn) % x.dims.length);
    w.op(
      'Transpose',
      [x],
      perm.map((axis) => x.dims[axis]),
      { perm },
    );
  },
  squeeze: (w) => {
    const x = w.value(({ dims }) => dims.includes(1));
    if (!x) return;
    const axis = x.dims.indexOf(1);
    w.op('Squeeze', [x, w.ints([axis])], x.dims.toSpliced(axis, 1));
  },
  unsqueeze: (w) => {
    const x = w.value(({ dims }) => dims.length < 4);
    if (!x) return;
    const axis = w.below(x.dims.length + 1);
    w.op('Unsqueeze', [x, w.ints([axis])], x.dims.toSpliced(axis, 0, 1));
  },
  concat: (w) => {
    const a = w.value(({ dims }) => dims.length > 0 && sizeOf(dims) < 200);
    if (!a) return;
    const axis = w.axis(a);
    const b =
      w.value(
        ({ dims }) =>
          dims.length === a.dims.length && dims.every((dim, i) => i === axis || dim === a.dims[i]),
      ) ?? a;
    w.op('Concat', [a, b], a.dims.with(axis, a.dims[axis] + b.dims[axis]), { axis });
  },
  split: (w) => {
    const x = w.value(({ dims }) => dims.some((dim) => dim > 1));
    if (!x) return;
    const axis = x.dims.findIndex((dim) => dim > 1);
    const first = 1 + w.below(x.dims[axis] - 1);
    const sizes = [first, x.dims[axis] - first];
    const names = sizes.map(() => w.fresh());
    w.ops('Split', [x, w.ints(sizes)], names, { axis });
    // One of the parts may stay unused.
    sizes.forEach((size, i) => {
      if (i === 0 || w.below(2)) w.values.push({ name: names[i], dims: x.dims.with(axis, size) });
    });
  },
  slice: (w) => {
    const x = w.value(({ dims }) => dims.some((dim) => dim > 1));
    if (!x) return;
    const axis = x.dims.findIndex((dim) => dim > 1);
    const step = w.pick([1, 1, 2, -1, -2]);
    const start = step > 0 ? w.below(x.dims[axis] - 1) : -1;
    const end = step > 0 ? 2 ** 20 : -(2 ** 20);
    const reach = step > 0 ? x.dims[axis] - start : x.dims[axis];
    const dims = x.dims.with(axis, Math.ceil(reach / Math.abs(step)));
    w.op('Slice', [x, w.ints([start]), w.ints([end]), w.ints([axis]), w.ints([step])], dims);
  },
  pad: (w) => {
    const x = w.value(({ dims }) => dims.length > 0 && sizeOf(dims) < 150);
    if (!x) return;
    const axis = w.axis(x);
    const [before, after] = [w.below(2), 1 + w.below(2)];
    const mode = x.dims[axis] > 2 ? w.pick(['constant', 'reflect', 'edge']) : 'constant';
    w.op(
      'Pad',
      [x, w.ints([before, after]), '', w.ints([axis])],
      x.dims.with(axis, x.dims[axis] + before + after),
      { mode },
    );
  },
  tile: (w) => {
    const x = w.value(({ dims }) => dims.length > 0 && sizeOf(dims) < 100);
    if (!x) return;
    const axis = w.axis(x);
    w.op(
      'Tile',
      [x, w.ints(x.dims.map((_, i) => (i === axis ? 2 : 1)))],
      x.dims.with(axis, 2 * x.dims[axis]),
    );
  },
  expand: (w) => {
    const x = w.value(({ dims }) => dims.includes(1) && sizeOf(dims) < 100);
    if (!x) return;
    const dims = [2, ...x.dims.with(x.dims.indexOf(1), 3)];
    if (dims.length <= 4) w.op('Expand', [x, w.ints(dims)], dims);
  },
  gather: (w) => {
    const x = w.value(({ dims }) => dims.length > 0);
    if (!x) return;
    const axis = w.axis(x);
    const places = [w.below(x.dims[axis]), -1, w.below(x.dims[axis])];
    w.op('Gather', [x, w.ints(places)], x.dims.with(axis, 3), { axis });
  },
  gatherElements: (w) => {
    const x = w.value(({ dims }) => dims.length > 0);
    if (!x) return;
    const axis = w.axis(x);
    const places = Array.from({ length: sizeOf(x.dims) }, () => w.below(x.dims[axis]));
    w.op('GatherElements', [x, w.ints(places, x.dims)], x.dims, { axis });
  },
  cumSum: (w) => {
    const x = w.value(({ dims }) => dims.length > 0);
    if (x)
      w.op('CumSum', [x, w.ints([w.axis(x)], [])], x.dims, { reverse: w.below(2), exclusive: w.below(2) });
  },
  topK: (w) => {
    const x = w.value(({ dims }) => dims.length > 0);
    if (!x) return;
    const axis = w.axis(x);
    const k = 1 + w.below(x.dims[axis]);
    const [name, places] = [w.fresh(), w.fresh()];
    w.ops('TopK', [x, w.ints([k])], [name, places], { axis });
    w.values.push({ name, dims: x.dims.with(axis, k) });
  },
  maxPool: (w) => {
    const x = w.value(({ dims }) => dims.length === 4 && dims[2] > 1 && dims[3] > 1);
    if (!x) return;
    const stride = 1 + w.below(2);
    const small = (dim: number) => Math.floor((dim - 2) / stride) + 1;
    const dims = [x.dims[0], x.dims[1], small(x.dims[2]), small(x.dims[3])];
    w.op('MaxPool', [x], dims, { kernel_shape: [2, 2], strides: [stride, stride] });
  },
};

/** Operators that ONNX Runtime computes in float32 alone. */
const singleMakers: Readonly<Record<string, Maker>> = {
  conv: (w) => {
    const x = w.value(({ dims }) => dims.length === 4);
    if (!x) return;
    const [batch, channels, height, width] = x.dims;
    const [made, stride] = [1 + w.below(3), 1 + w.below(2)];
    const dims = [batch, made, ...[height, width].map((dim) => Math.floor((dim - 1) / stride) + 1)];
    const weight = w.weights([made, channels, 3, 3], 0.4);
    w.op('Conv', [x, weight, w.weights([made])], dims, { pads: [1, 1, 1, 1], strides: [stride, stride] });
  },
  convTranspose: (w) => {
    const x = w.value(({ dims }) => dims.length === 4 && sizeOf(dims) < 60);
    if (!x) return;
    const [batch, channels, height, width] = x.dims;
    w.op('ConvTranspose', [x, w.weights([channels, 2, 2, 2], 0.5)], [batch, 2, 2 * height, 2 * width], {
      strides: [2, 2],
    });
  },
  averagePool: (w) => {
    const x = w.value(({ dims }) => dims.length === 4 && dims[2] > 1 && dims[3] > 1);
    if (!x) return;
    const [batch, channels, height, width] = x.dims;
    const small = (dim: number) => Math.floor((dim + 2 - 3) / 2) + 1;
    w.op('AveragePool', [x], [batch, channels, small(height), small(width)], {
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      count_include_pad: w.below(2),
    });
  },
  globalAveragePool: (w) => {
    const x = w.value(({ dims }) => dims.length === 4);
    if (x) w.op('GlobalAveragePool', [x], [x.dims[0], x.dims[1], 1, 1]);
  },
  resize: (w) => {
    const x = w.value(({ dims }) => dims.length === 4 && sizeOf(dims) < 60);
    if (!x) return;
    const scales = w.floats([1, 1, 2, 2], [4], DataType.FLOAT);
    const mode = w.pick(['nearest', 'linear', 'cubic']);
    w.op('Resize', [x, '', scales], [x.dims[0], x.dims[1], 2 * x.dims[2], 2 * x.dims[3]], { mode });
  },
  instanceNormalization: (w) => {
    const x = w.value(({ dims }) => dims.length === 4 && dims[2] * dims[3] > 1);
    if (!x) return;
    const channels = [x.dims[1]];
    w.op('InstanceNormalization', [x, w.weights(channels), w.weights(channels)], x.dims, {
      epsilon: { float: 0.1 },
    });
  },
  gelu: (w) => {
    const x = w.value();
    if (x) w.op(w.pick(['Erf', 'HardSwish', 'HardSigmoid', 'Mean']), [x], x.dims);
  },
};

export interface RandomGraph {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** The values that gradients arrive at. */
  readonly outputs: readonly string[];
  readonly type: DataType;
}

/** The graph of a program, in double where all its operators allow that. */
export function graphOfProgram(program: Program, isSingle: boolean, random: () => number): RandomGraph {
  const type = isSingle ? DataType.FLOAT : DataType.DOUBLE;
  const table = Object.values(isSingle ? { ...makers, ...singleMakers } : makers);
  const inputs = program.inputs.map((dims, i) => ({ name: `x${i}`, dims }));
  const writer = new Writer(inputs, type, random);
  for (const { operator, picks } of program.steps) {
    writer.begin(picks);
    table[operator % table.length](writer);
  }
  if (writer.nodes.length === 0) writer.op('Tanh', [inputs[0]], inputs[0].dims); // where nothing fitted
  const read = new Set(writer.nodes.flatMap((node) => node.inputs));
  const made = writer.values.slice(inputs.length);
  const unread = made.filter(({ name }) => !read.has(name)).slice(-2);
  const outputs = unread.map(({ name }) => name);
  const infos = inputs.map(
    ({ name, dims }): ValueInfo => ({
      name,
      type,
      dims: program.symbolic ? [`N${dims[0]}`, ...dims.slice(1)] : dims,
    }),
  );
  const feeds: Record<string, Tensor> = {};
  for (const { name, dims } of inputs) {
    const values = Array.from({ length: sizeOf(dims) }, () => random() * 2 - 1);
    feeds[name] = isSingle
      ? { type: 'float32', dims, data: Float32Array.from(values) }
      : { type: 'float64', dims, data: Float64Array.from(values) };
  }
  const graph: Graph = {
    name: 'fuzz',
    opset: 18,
    domains: new Map(),
    inputs: infos,
    outputs: outputs.map((name) => ({ name, type: undefined, dims: undefined })),
    nodes: writer.nodes,
    constants: writer.constants,
    values: new Map(infos.map((info) => [info.name, info])),
    metadata: new Map(),
  };
  return { graph, feeds, outputs, type };
}
