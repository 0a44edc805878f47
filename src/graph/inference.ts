import { DataType } from '../onnx/types.js';
import { floatAttribute, intAttribute, intsAttribute, withAttributes, withGraphs } from './attributes.js';
import { Backward } from './backward.js';
import { Builder, Names, rewritten } from './builder.js';
import { is } from './facts.js';
import { type Graph, label, type Node, readersOf, valueInfo } from './graph.js';

/**
 * The network as it is meant to be used, where it was exported in training mode: nothing is dropped, batch normalisation
 * takes the stored statistics, and random numbers are their means, masks of dropout written out by hand among them. So it
 * gives one answer. What was changed is in the notes.
 */
export function forInference(graph: Graph): Graph {
  const { graph: changedGraph, changed } = inferred(graph, Names.of(graph));
  if (changed.length === 0) return graph;
  const note = `The model was exported in training mode (${listed(changed)}): it is run as at inference, where nothing is dropped or drawn and batch normalisation takes its stored statistics.`;
  return { ...changedGraph, notes: [...(graph.notes ?? []), note] };
}

/** A sentence where a model's answers depend on chance, or on the other pictures of a batch. */
export function trainingNote(graph: Graph): string | undefined {
  const { changed } = inferred(graph, Names.of(graph));
  if (changed.length === 0) return undefined;
  return `The model is in training mode (${listed(changed)}): its outputs and gradients differ from run to run, or depend on the batch.`;
}

function listed([first, ...others]: readonly string[]): string {
  return others.length > 0 ? `${first} and ${others.length} more` : first;
}

/** The graph at inference, and the nodes that are in training mode, as messages call them. */
function inferred(graph: Graph, names: Names): { graph: Graph; changed: readonly string[] } {
  const pass = new Pass(graph, names);
  for (const node of graph.nodes) pass.write(node);
  return { graph: pass.changed.length > 0 ? rewritten(graph, pass.b) : graph, changed: pass.changed };
}

/** A mask that is drawn: true with this probability. */
interface Draw {
  readonly probability: number;
  /** A value of the mask's dims. */
  readonly like: string;
}

class Pass {
  readonly b: Builder;
  readonly changed: string[] = [];
  readonly #graph: Graph;
  readonly #back: Backward;
  readonly #readers: ReadonlyMap<string, readonly (Node | undefined)[]>;
  /** Uniform numbers that only masks are made of, and those masks. */
  readonly #draws = new Map<string, Draw>();
  /** Values that no input of the model reaches. */
  readonly #fixed: Set<string>;

  constructor(graph: Graph, names: Names) {
    this.b = new Builder(names);
    this.#graph = graph;
    this.#back = new Backward(graph);
    this.#readers = readersOf(graph);
    this.#fixed = new Set(['', ...graph.constants.keys()]);
  }

  write(node: Node): void {
    const { b } = this;
    const isFixed = node.inputs.length > 0 && node.inputs.every((name) => this.#fixed.has(name));
    if (isFixed && !is(node, 'random')) for (const name of node.outputs) this.#fixed.add(name);
    const [output] = node.outputs;
    b.at(output ?? node.name);
    b.origin = label(node);
    const inner = withGraphs(node, (body) => {
      const { graph, changed } = inferred(body, b.names);
      this.changed.push(...changed);
      return graph;
    });
    if (node.domain !== '' || !this.#replace(inner)) b.keep(inner);
    else if (isSource(node) && !(isFixed && node.opType === 'BatchNormalization'))
      this.changed.push(label(node));
  }

  /** Writes what stands for a node in training mode; false where it is in none. */
  #replace(node: Node): boolean {
    switch (node.opType) {
      case 'Dropout':
        return this.#dropout(node);
      case 'BatchNormalization':
        return this.#batchNormalization(node);
      case 'RandomNormal':
      case 'RandomNormalLike':
        return this.#fill(node, floatAttribute(node, 'mean', 0));
      case 'RandomUniform':
      case 'RandomUniformLike':
        return this.#uniform(node);
      case 'Bernoulli':
        return this.#bernoulli(node);
      case 'Multinomial':
        return this.#multinomial(node);
      default:
        return this.#masked(node);
    }
  }

  #dropout(node: Node): boolean {
    const [x, , training] = node.inputs;
    if (!training || this.#back.number(training) === 0) return false;
    this.b.keep({ ...node, inputs: [x] });
    return true;
  }

  #batchNormalization(node: Node): boolean {
    if (intAttribute(node, 'training_mode', 0) === 0) return false;
    const [output, ...statistics] = node.outputs;
    if (this.#fixed.has(node.inputs[0]))
      return !statistics.some((name) => this.#readers.has(name)) && this.#standardization(node);
    this.b.keep({ ...withAttributes(node, { training_mode: undefined }), outputs: [output] });
    statistics.forEach((name, i) => name && this.b.copy(node.inputs[3 + (i % 2)], name));
    return true;
  }

  /**
   * Statistics of weights are those of a standardisation, in training and behind it. Written out, since ONNX Runtime's kernel
   * overwrites the scale or the shift where one constant also stands for the variance or the mean.
   */
  #standardization(node: Node): boolean {
    const { b } = this;
    const [x, scale, shift] = node.inputs;
    const own = valueInfo(this.#graph, x).type ?? valueInfo(this.#graph, scale).type;
    b.type = own === DataType.DOUBLE ? own : DataType.FLOAT;
    const rows = b.op('Reshape', [x, b.ints([0, 0, -1])]);
    const mean = (value: string) => b.op('ReduceMean', [value, b.ints([0, 2])], { keepdims: 1 });
    const centred = b.op('Sub', [rows, mean(rows)]);
    const variance = mean(b.op('Mul', [centred, centred]));
    const epsilon = b.scalar(floatAttribute(node, 'epsilon', 1e-5));
    const deviation = b.op('Sqrt', [b.op('Add', [variance, epsilon])]);
    const ofChannels = (value: string) => b.op('Reshape', [value, b.ints([1, -1, 1])]);
    const scaled = b.op('Mul', [b.op('Div', [centred, deviation]), ofChannels(scale)]);
    const all = b.op('Add', [scaled, ofChannels(shift)]);
    b.op('Reshape', [all, b.op('Shape', [x])], {}, node.outputs[0]);
    return true;
  }

  /** A number everywhere, in the dims and of the type that random ones would have. */
  #fill(node: Node, value: number): boolean {
    const { b } = this;
    const own = valueInfo(this.#graph, node.inputs[0] ?? '').type;
    const type = intAttribute(node, 'dtype', own ?? DataType.FLOAT);
    b.type = type === DataType.DOUBLE ? type : DataType.FLOAT;
    const shape = node.inputs[0] ? b.op('Shape', [node.inputs[0]]) : b.ints(intsAttribute(node, 'shape', []));
    b.op('Expand', [b.scalar(value), shape], {}, node.outputs[0]);
    return true;
  }

  #uniform(node: Node): boolean {
    const [output] = node.outputs;
    const [low, high] = [floatAttribute(node, 'low', 0), floatAttribute(node, 'high', 1)];
    const readers = this.#readers.get(output) ?? [];
    const chance = (reader: Node | undefined) => reader && this.#chance(reader, output, low, high);
    if (readers.length > 0 && readers.every((reader) => chance(reader) !== undefined))
      for (const reader of readers as Node[])
        this.#draws.set(reader.outputs[0], { probability: chance(reader) as number, like: output });
    return this.#fill(node, (low + high) / 2);
  }

  /** The probability that a comparison with uniform numbers holds, or that they round up to 1. */
  #chance(reader: Node, value: string, low: number, high: number): number | undefined {
    const within = (place: number) => Math.min(Math.max((place - low) / (high - low), 0), 1);
    const operands = this.#back.withNumber(reader);
    if (reader.domain !== '' || operands?.value !== value) return undefined;
    const { number, isFirst } = operands;
    if (reader.opType.startsWith('Less')) return isFirst ? within(number) : 1 - within(number);
    if (reader.opType.startsWith('Greater')) return isFirst ? 1 - within(number) : within(number);
    const [next, ...others] = this.#readers.get(reader.outputs[0]) ?? [];
    const isFloor = next?.opType === 'Floor' && others.length === 0 && number >= 0 && number <= 1;
    return reader.opType === 'Add' && isFloor && low === 0 && high === 1 ? number : undefined;
  }

  #bernoulli(node: Node): boolean {
    const [p] = node.inputs;
    const own = valueInfo(this.#graph, p).type ?? DataType.FLOAT;
    const type = intAttribute(node, 'dtype', own);
    if (type === own) {
      this.b.copy(p, node.outputs[0]);
      return true;
    }
    const probability = this.#back.number(p);
    if (type === DataType.FLOAT || type === DataType.DOUBLE)
      this.b.op('Cast', [p], { to: type }, node.outputs[0]);
    else if (probability === undefined) return false;
    else {
      this.#draws.set(node.outputs[0], { probability, like: p });
      this.b.op('Cast', [p], { to: type }, node.outputs[0]);
    }
    return true;
  }

  /** The most probable class; several draws stay what they are. */
  #multinomial(node: Node): boolean {
    if (intAttribute(node, 'sample_size', 1) !== 1) return false;
    const best = this.b.op('ArgMax', [node.inputs[0]], { axis: 1, keepdims: 1 });
    this.b.op('Cast', [best], { to: intAttribute(node, 'dtype', DataType.INT32) }, node.outputs[0]);
    return true;
  }

  /** What reads a drawn mask gets its mean: 0 and 1 become the probability of 1. */
  #masked(node: Node): boolean {
    const draw = this.#draws.get(node.inputs[0] ?? '');
    const { b } = this;
    const [output] = node.outputs;
    if (!draw) return false;
    if (node.opType === 'Not') {
      this.#draws.set(output, { ...draw, probability: 1 - draw.probability });
      return false;
    }
    if (node.opType === 'Floor') return this.#mean(draw, output, DataType.FLOAT);
    const to = intAttribute(node, 'to', 0);
    if (node.opType === 'Cast' && (to === DataType.FLOAT || to === DataType.DOUBLE))
      return this.#mean(draw, output, to);
    if (node.opType !== 'Where') return false;
    const [, kept, other] = node.inputs;
    const isZero = this.#back.number(other) === 0;
    if (!isZero && this.#back.number(kept) !== 0) return false;
    b.op(
      'Mul',
      [isZero ? kept : other, b.scalar(isZero ? draw.probability : 1 - draw.probability)],
      {},
      output,
    );
    return true;
  }

  #mean({ probability, like }: Draw, output: string, type: DataType): boolean {
    const { b } = this;
    b.type = type;
    b.op('Expand', [b.scalar(probability), b.op('Shape', [like])], {}, output);
    return true;
  }
}

/** Not what is only changed because of a random node before it. */
function isSource(node: Node): boolean {
  return is(node, 'random') || node.opType === 'Dropout' || node.opType === 'BatchNormalization';
}
