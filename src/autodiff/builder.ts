import { attributesOf, type Plain } from '../graph/attributes.js';
import type { Graph, Node } from '../graph/graph.js';
import { boolConstant, type Constant, floatConstant, int64Constant } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';

/** The name of a value in the graph being built. */
export type Name = string;

/** Writes new nodes and constants behind a graph, under names that the graph does not use. */
export class Builder {
  readonly nodes: Node[] = [];
  readonly constants = new Map<string, Constant>();
  /** Float type of the constants that `scalar` and `floats` make; follows the node being differentiated. */
  type: DataType = DataType.FLOAT;
  /** Whether the gradient may be infinite here: it has come through a root, a logarithm, a quotient. */
  unbounded = false;
  readonly #taken: Set<string>;
  readonly #shared = new Map<string, Name>();
  #count = 0;
  #prefix = '';

  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  /** Later nodes are named after this value. */
  at(prefix: string): void {
    this.#prefix = prefix;
  }

  /** A node with one output. `undefined` inputs are absent optional ones. */
  op(
    opType: string,
    inputs: readonly (Name | undefined)[],
    attributes: Record<string, Plain | undefined> = {},
  ): Name {
    return this.ops(opType, inputs, 1, attributes)[0];
  }

  /** A node with several outputs. */
  ops(
    opType: string,
    inputs: readonly (Name | undefined)[],
    outputs: number,
    attributes: Record<string, Plain | undefined> = {},
  ): Name[] {
    const names = Array.from({ length: outputs }, () => this.fresh(opType));
    const present = inputs.map((name) => name ?? '');
    while (present.at(-1) === '') present.pop();
    this.nodes.push({
      opType,
      domain: '',
      name: names[0],
      inputs: present,
      outputs: names,
      attributes: attributesOf(attributes),
    });
    return names;
  }

  /** A value again under a name of the caller's choice: an output of the graph. */
  copy(from: Name, to: Name): void {
    this.nodes.push({
      opType: 'Identity',
      domain: '',
      name: to,
      inputs: [from],
      outputs: [to],
      attributes: attributesOf({}),
    });
  }

  /** A name that nothing has yet. */
  fresh(what: string): Name {
    for (;;) {
      const name = `d/${this.#prefix}/${what}_${this.#count++}`;
      if (!this.#taken.has(name)) {
        this.#taken.add(name);
        return name;
      }
    }
  }

  constant(constant: Constant): Name {
    const name = this.fresh('constant');
    this.constants.set(name, constant);
    return name;
  }

  /** A list of whole numbers; equal lists are one constant. */
  ints(values: readonly number[]): Name {
    return this.#once(`ints ${values}`, () => int64Constant(values));
  }

  /** One whole number, dims []. */
  int(value: number): Name {
    return this.#once(`int ${value}`, () => int64Constant([value], []));
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
  /** A mask as numbers 0 and 1. */
  asFloat(mask: Name): Name {
    return this.op('Cast', [mask], { to: this.type });
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
  return {
    ...graph,
    nodes: [...graph.nodes, ...b.nodes],
    constants: new Map([...graph.constants, ...b.constants]),
  };
}
