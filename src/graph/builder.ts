import { boolConstant, type Constant, floatConstant, int64Constant } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import { attributesOf, type Plain } from './attributes.js';
import type { Graph, Node } from './graph.js';

/** The name of a value. */
export type Name = string;

/** The names that a graph uses; a new value may have none of them. */
export class Names {
  readonly #taken: Set<Name>;
  readonly #counts = new Map<Name, number>();

  constructor(taken: Iterable<Name> = []) {
    this.#taken = new Set(taken);
  }

  /** Every name in a graph and in the graphs inside it. */
  static of(...graphs: readonly Graph[]): Names {
    const names = new Names();
    for (const graph of graphs) names.#takeAll(graph);
    return names;
  }

  has(name: Name): boolean {
    return this.#taken.has(name);
  }

  take(name: Name): void {
    this.#taken.add(name);
  }

  /** `wanted`, or `wanted_2`, `wanted_3`, … where that is taken; taken from now on. */
  free(wanted: Name): Name {
    let name = wanted;
    let count = this.#counts.get(wanted) ?? 1;
    while (this.#taken.has(name)) name = `${wanted}_${++count}`;
    this.#counts.set(wanted, count);
    this.#taken.add(name);
    return name;
  }

  #takeAll({ inputs, outputs, constants, nodes }: Graph): void {
    for (const { name } of [...inputs, ...outputs]) this.#taken.add(name);
    for (const name of constants.keys()) this.#taken.add(name);
    for (const node of nodes) {
      for (const name of [...node.inputs, ...node.outputs]) this.#taken.add(name);
      for (const { kind, value } of node.attributes.values()) if (kind === 'graph') this.#takeAll(value);
    }
  }
}

/**
 * Writes nodes and constants of the default domain, in the canonical operator set. A value is named after where it is
 * written and what makes it, `layer1/conv/Mul`, unless the caller says its name.
 */
export class Builder {
  readonly nodes: Node[] = [];
  readonly constants = new Map<Name, Constant>();
  readonly names: Names;
  /** Float type of the constants that `scalar` and `floats` make. */
  type: DataType = DataType.FLOAT;
  /** Whether gradients may be infinite here: they have come through a root, a logarithm, a quotient. */
  unbounded = false;
  /** What messages call the nodes that are written: the node that they stand for. */
  origin: string | undefined;
  readonly #shared = new Map<string, Name>();
  #place = '';

  /** @param taken the graph behind or in which nodes are written, or its names where several builders share them */
  constructor(taken: Graph | Names = new Names()) {
    this.names = taken instanceof Names ? taken : Names.of(taken);
  }

  /** Later values are named after this place. */
  at(place: string): void {
    this.#place = place;
  }

  /** A node that exists already, as it is. */
  keep(node: Node): void {
    this.nodes.push(node);
  }

  /** A node with one output. `undefined` and '' inputs are absent optional ones. */
  op(
    opType: string,
    inputs: readonly (Name | undefined)[],
    attributes: Readonly<Record<string, Plain | undefined>> = {},
    output = this.fresh(opType),
  ): Name {
    return this.ops(opType, inputs, [output], attributes)[0];
  }

  /** A node with several outputs: so many, or these ('' where absent). */
  ops(
    opType: string,
    inputs: readonly (Name | undefined)[],
    outputs: number | readonly Name[],
    attributes: Readonly<Record<string, Plain | undefined>> = {},
  ): Name[] {
    const made =
      typeof outputs === 'number' ? Array.from({ length: outputs }, () => this.fresh(opType)) : [...outputs];
    this.nodes.push({
      opType,
      domain: '',
      name: made.find(Boolean) ?? '',
      inputs: inputs.slice(0, inputs.findLastIndex(Boolean) + 1).map((name) => name ?? ''),
      outputs: made,
      attributes: attributesOf(attributes),
      ...(this.origin === undefined ? {} : { origin: this.origin }),
    });
    return made;
  }

  /** A value again under a name of the caller's choice: an output of the graph. */
  copy(from: Name, to: Name): Name {
    return this.op('Identity', [from], {}, to);
  }

  /** A name that nothing has yet. */
  fresh(what: string): Name {
    return this.names.free(this.#place ? `${this.#place}/${what}` : what);
  }

  constant(constant: Constant, what = 'constant'): Name {
    const name = this.fresh(what);
    this.constants.set(name, constant);
    return name;
  }

  /** A list of whole numbers (or in other dims); equal ones are one constant. */
  ints(values: readonly (number | bigint)[], dims: readonly number[] = [values.length]): Name {
    return this.#once(`ints ${dims} ${values}`, () => int64Constant(values, dims));
  }

  /** One whole number, dims []. */
  int(value: number): Name {
    return this.ints([value], []);
  }

  /** One number of the current float type, dims []. */
  scalar(value: number): Name {
    return this.#once(`scalar ${this.type} ${value}`, () => this.#floats([value], []));
  }

  /** Numbers of the current float type. */
  floats(values: ArrayLike<number>, dims: readonly number[]): Name {
    return this.constant(this.#floats(values, dims));
  }

  bool(value: boolean): Name {
    return this.#once(`bool ${value}`, () => boolConstant([value], []));
  }

  add(a: Name, b: Name): Name {
    return this.op('Add', [a, b]);
  }
  sub(a: Name, b: Name): Name {
    return this.op('Sub', [a, b]);
  }
  mul(a: Name, b: Name): Name {
    return this.op('Mul', [a, b]);
  }
  div(a: Name, b: Name): Name {
    return this.op('Div', [a, b]);
  }
  neg(a: Name): Name {
    return this.op('Neg', [a]);
  }
  /** a · number */
  scale(a: Name, factor: number): Name {
    return factor === 1 ? a : this.mul(a, this.scalar(factor));
  }
  /** number − a */
  from(value: number, a: Name): Name {
    return this.sub(this.scalar(value), a);
  }
  square(a: Name): Name {
    return this.mul(a, a);
  }
  /** A mask as numbers 0 and 1, or other numbers, in the current float type. */
  asFloat(mask: Name): Name {
    return this.op('Cast', [mask], { to: this.type });
  }
  /** As whole numbers. */
  asInt(a: Name): Name {
    return this.op('Cast', [a], { to: DataType.INT64 });
  }
  /** What is written meanwhile is float64. */
  wide<T>(write: () => T): T {
    const { type } = this;
    this.type = DataType.DOUBLE;
    try {
      return write();
    } finally {
      this.type = type;
    }
  }
  /** `a` where the mask holds, 0 elsewhere. A product is the faster way, but makes NaN of infinity. */
  masked(mask: Name, a: Name): Name {
    return this.unbounded ? this.where(mask, a, this.zero()) : this.mul(a, this.asFloat(mask));
  }
  where(mask: Name, a: Name, b: Name): Name {
    return this.op('Where', [mask, a, b]);
  }
  zero(): Name {
    return this.scalar(0);
  }
  reshape(a: Name, target: readonly number[]): Name {
    return this.op('Reshape', [a, this.ints(target)]);
  }
  reduceSum(a: Name, axes: readonly number[], keepdims = 1): Name {
    return this.op('ReduceSum', [a, this.ints(axes)], { keepdims });
  }
  reduceMean(a: Name, axes: readonly number[], keepdims = 1): Name {
    return this.op('ReduceMean', [a, this.ints(axes)], { keepdims });
  }
  transpose(a: Name, perm: readonly number[]): Name {
    return perm.every((axis, i) => axis === i) ? a : this.op('Transpose', [a], { perm });
  }
  /** Swaps the last two axes. */
  transposeLast(a: Name, rank: number): Name {
    const perm = Array.from({ length: rank }, (_, i) => i);
    [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
    return this.transpose(a, perm);
  }

  #floats(values: ArrayLike<number>, dims: readonly number[]): Constant {
    if (this.type !== DataType.DOUBLE) return floatConstant(values, dims);
    return { type: DataType.DOUBLE, dims, bytes: new Uint8Array(Float64Array.from(values).buffer) };
  }

  #once(key: string, make: () => Constant): Name {
    let name = this.#shared.get(key);
    if (name === undefined) {
      name = this.constant(make());
      this.#shared.set(key, name);
    }
    return name;
  }
}

/** The graph with what a builder wrote behind its own nodes. */
export function appended(graph: Graph, b: Builder): Graph {
  return { ...rewritten(graph, b), nodes: [...graph.nodes, ...b.nodes] };
}

/** The graph with what a builder wrote in the place of its nodes. */
export function rewritten(graph: Graph, b: Builder): Graph {
  return { ...graph, nodes: b.nodes, constants: new Map([...graph.constants, ...b.constants]) };
}
