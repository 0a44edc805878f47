import { type Constant, numbersOf } from '../onnx/constant.js';
import { isFloat } from '../onnx/types.js';
import { sizeOf } from '../tensor.js';
import { type Dim, type Graph, type Node, producers, valueInfo } from './graph.js';

/** Values read backwards: what makes each, which are single numbers, which are equal though computed twice. */
export class Backward {
  readonly graph: Graph;
  readonly #made: ReadonlyMap<string, Node>;

  constructor(graph: Graph) {
    this.graph = graph;
    this.#made = producers(graph);
  }

  /** The node of the default domain that makes a value, if it is one of these operators. */
  node(name: string | undefined, ...opTypes: readonly string[]): Node | undefined {
    const node = name === undefined ? undefined : this.#made.get(name);
    return node?.domain === '' && (opTypes.length === 0 || opTypes.includes(node.opType)) ? node : undefined;
  }

  /** The node of any domain that makes a value. */
  maker(name: string): Node | undefined {
    return this.#made.get(name);
  }

  dims(name: string): readonly Dim[] | undefined {
    return valueInfo(this.graph, name).dims;
  }

  /** The number that a constant holds everywhere; undefined for other values. */
  number(name: string | undefined): number | undefined {
    const constant = this.graph.constants.get(name ?? '');
    if (!constant || constant.strings || sizeOf(constant.dims) > mostNumbers) return undefined;
    const [first, ...others] = numbersOf(constant);
    return others.every((value) => value === first) ? first : undefined;
  }

  /** The other operand and the number, of a node that combines a value with one. */
  withNumber(node: Node): { value: string; number: number; isFirst: boolean } | undefined {
    const [left, right] = node.inputs;
    const [a, b] = [this.number(left), this.number(right)];
    if (b !== undefined && a === undefined) return { value: left, number: b, isFirst: true };
    return a !== undefined && b === undefined ? { value: right, number: a, isFirst: false } : undefined;
  }

  /** Whether two values are equal: one value, or computed alike from equal ones. */
  same(a: string, b: string, steps = 4): boolean {
    if (a === b) return true;
    const [one, other] = [this.#made.get(a), this.#made.get(b)];
    if (!one || !other) return this.#sameConstant(a, b);
    return (
      steps > 0 &&
      one.opType === other.opType &&
      one.domain === other.domain &&
      one.outputs.indexOf(a) === other.outputs.indexOf(b) &&
      one.inputs.length === other.inputs.length &&
      one.inputs.every((input, i) => this.same(input, other.inputs[i], steps - 1)) &&
      one.attributes.size === other.attributes.size &&
      [...one.attributes].every(
        ([name, { kind, value }]) =>
          kind !== 'graph' &&
          kind !== 'tensor' &&
          String(value) === String(other.attributes.get(name)?.value),
      )
    );
  }

  #sameConstant(a: string, b: string): boolean {
    const [one, other] = [a, b].map((name) => this.graph.constants.get(name));
    return one !== undefined && other !== undefined && areEqual(one, other);
  }
}

/** Constants of more numbers than this are weights. */
const mostNumbers = 4096;

function areEqual(a: Constant, b: Constant): boolean {
  return (
    a.type === b.type &&
    a.dims.length === b.dims.length &&
    a.bytes.length === b.bytes.length &&
    a.bytes.every((byte, i) => byte === b.bytes[i])
  );
}

/** Lower and upper bound of a float constant. */
export function boundsOf(constant: Constant): readonly [number, number] | undefined {
  if (!isFloat(constant.type) || sizeOf(constant.dims) > mostNumbers) return undefined;
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of numbersOf(constant)) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return [least, most];
}
