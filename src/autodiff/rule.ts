import { GradcamppError } from '../errors.js';
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  type Plain,
  stringAttribute,
  withAttributes,
} from '../graph/attributes.js';
import { type Dim, type Graph, label, type Node, valueInfo } from '../graph/graph.js';
import { type Constant, numbersOf } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import type { Builder, Name } from '../graph/builder.js';

/**
 * A vector–Jacobian product: writes the nodes that carry a node's gradient from its outputs to its inputs.
 * Returns one name an input, undefined where no gradient flows (indices, shapes, masks).
 * What a rule writes for inputs that nobody asked for is dropped afterwards, so rules need not look.
 */
export type Rule = (pass: Pass) => readonly (Name | undefined)[];

/** One node on the way back: what a rule sees. */
export class Pass {
  readonly node: Node;
  readonly b: Builder;
  /** Inputs and outputs of the node, '' where absent. */
  readonly x: readonly Name[];
  readonly y: readonly Name[];
  /** Incoming gradient of each output, undefined where none arrives. */
  readonly dYs: readonly (Name | undefined)[];
  /** What the rule has to say of its result. */
  readonly notes: string[] = [];
  /** The node with the outputs that the rule asked for. */
  extended: Node | undefined;
  readonly #graph: Graph;
  readonly #needed: ReadonlySet<Name>;
  readonly #keepPaths: boolean;

  constructor(
    graph: Graph,
    node: Node,
    dYs: readonly (Name | undefined)[],
    b: Builder,
    { needed, keepPaths }: { needed: ReadonlySet<Name>; keepPaths: boolean },
  ) {
    this.node = node;
    this.#keepPaths = keepPaths;
    this.b = b;
    this.x = node.inputs;
    this.y = node.outputs;
    this.dYs = dYs;
    this.#graph = graph;
    this.#needed = needed;
  }

  /** Incoming gradient of the first output. */
  get dY(): Name {
    const [dY] = this.dYs;
    if (dY === undefined) throw this.unsupported('passes a gradient through an output other than the first');
    return dY;
  }

  /** Version of the default operator set that the rule writes in. */
  get opset(): number {
    return this.#graph.opset;
  }

  /** Says that the gradient is not the derivative: what stands in for it. */
  note(what: string): void {
    this.notes.push(`${label(this.node)} ${what}.`);
  }

  /** Whether anybody wants the gradient of this input. */
  needs(input: number): boolean {
    return this.#needed.has(this.x[input] ?? '');
  }

  /** Whether the path from this value into the gradient must stay in the graph: it will be differentiated again. */
  keepsPath(name: Name): boolean {
    return this.#keepPaths || this.#needed.has(name);
  }

  /** The name of an output that the node may have but does not yet give, with attributes that fix its meaning. */
  extraOutput(index: number, attributes: Record<string, Plain> = {}): Name {
    const present = this.node.outputs[index];
    const outputs = [...this.node.outputs];
    while (outputs.length <= index) outputs.push('');
    outputs[index] = present || this.b.fresh('extra');
    this.extended = { ...withAttributes(this.node, attributes), outputs };
    return outputs[index];
  }

  /** The outputs of another node like this one, with some attributes changed. */
  again(attributes: Readonly<Record<string, Plain>>, outputs: number): Name[] {
    const { opType, inputs } = this.node;
    return this.b.ops(opType, inputs, outputs, {
      ...Object.fromEntries(this.node.attributes),
      ...attributes,
    });
  }

  /** The zero that ConstantOfShape fills with, in the current float type. */
  zeroTensor(): Plain {
    const bytes = new Uint8Array(this.b.type === DataType.DOUBLE ? 8 : 4);
    return { kind: 'tensor', value: { type: this.b.type, dims: [1], bytes } };
  }

  has(input: number): boolean {
    return Boolean(this.x[input]);
  }

  /** Dims of a value; an error where not even the rank is known. */
  dims(name: Name): readonly Dim[] {
    const { dims } = valueInfo(this.#graph, name);
    if (dims === undefined) throw this.unsupported(`needs the dims of "${name}", which are not known`);
    return dims;
  }

  /** Whether at least the number of a value's dims is known. */
  hasRank(name: Name): boolean {
    return valueInfo(this.#graph, name).dims !== undefined;
  }

  /** Dims that must all be numbers, from axis `start` on. */
  sizes(name: Name, start = 0): readonly number[] {
    const dims = this.dims(name).slice(start);
    if (dims.every((dim): dim is number => typeof dim === 'number')) return dims;
    throw this.unsupported(`needs fixed dims of "${name}"; they are [${this.dims(name).join(', ')}]`);
  }

  /** Whether all dims from axis `start` on are numbers. */
  isStatic(name: Name, start = 0): boolean {
    return this.dims(name)
      .slice(start)
      .every((dim) => typeof dim === 'number');
  }

  rank(name: Name): number {
    return this.dims(name).length;
  }

  type(name: Name): DataType | undefined {
    return valueInfo(this.#graph, name).type;
  }

  /** Whether two dims are surely equal. */
  sameDims(a: Name, b: Name): boolean {
    const [first, second] = [this.dims(a), this.dims(b)];
    return first.length === second.length && first.every((dim, i) => dim !== '' && dim === second[i]);
  }

  constant(name: Name | undefined): Constant | undefined {
    return name ? this.#graph.constants.get(name) : undefined;
  }

  /** The whole numbers of a constant input; undefined where absent or computed. */
  numbers(input: number): number[] | undefined {
    const constant = this.constant(this.x[input]);
    return constant && numbersOf(constant);
  }

  int(name: string, otherwise: number): number {
    return intAttribute(this.node, name, otherwise);
  }
  ints(name: string): readonly number[] | undefined {
    return intsAttribute(this.node, name);
  }
  float(name: string, otherwise: number): number {
    return floatAttribute(this.node, name, otherwise);
  }
  string(name: string, otherwise: string): string {
    return stringAttribute(this.node, name, otherwise);
  }

  /** An axis attribute or item, counted from the front. */
  axis(value: number, rank: number): number {
    const axis = value < 0 ? value + rank : value;
    if (axis >= 0 && axis < Math.max(rank, 1)) return axis;
    throw this.unsupported(`works on axis ${value} of ${rank}`);
  }

  /** dX with the dims of `like`: a static target where at most one dim is unknown, else its run-time shape. */
  reshapeLike(dX: Name, like: Name): Name {
    return this.b.op('Reshape', [dX, this.shapeOf(like)]);
  }

  /** A Reshape target with the dims of a value. */
  shapeOf(name: Name): Name {
    const { dims } = valueInfo(this.#graph, name);
    if (dims === undefined) return this.b.op('Shape', [name]);
    const target = dims.map((dim) => (typeof dim === 'number' ? dim : -1));
    const isFixed = target.filter((dim) => dim === -1).length <= 1 && !target.includes(0);
    return isFixed ? this.b.ints(target) : this.b.op('Shape', [name]);
  }

  /** An Expand target with the dims of a value: fixed where only the leading dim is unknown and `dX` has it. */
  expandLike(dX: Name, like: Name, ownDims: readonly Dim[] | undefined): Name {
    const dims = this.dims(like);
    const target = dims.map((dim, i) => {
      if (typeof dim === 'number') return dim;
      return ownDims?.length === dims.length && ownDims[i] === dim ? 1 : -1;
    });
    const shape = target.includes(-1) ? this.b.op('Shape', [like]) : this.b.ints(target);
    return this.b.op('Expand', [dX, shape]);
  }

  unsupported(what: string): GradcamppError {
    return new GradcamppError(
      'UNSUPPORTED_MODEL',
      `${label(this.node)} ${what}, so its gradient cannot be built.`,
    );
  }
}
