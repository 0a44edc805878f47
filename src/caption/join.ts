import { Builder, type Name } from '../graph/builder.js';
import { type Dim, type Graph, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import { inlineBody } from '../graph/inline.js';
import { DataType } from '../onnx/types.js';
import type { Decoder } from './decoder.js';
import { isPast } from './roles.js';

/** An encoder and a decoder as one network of picture and tokens. */
export interface Joined {
  readonly graph: Graph;
  /** The input that takes the tokens, [N, length]. */
  readonly ids: string;
  /** The scores of every next token, [N, length, vocabulary]. */
  readonly logits: string;
  /** What is attended to: [N, length, …], or [N, heads, length, …] as the decoder gives it. */
  readonly attention: readonly string[];
}

/**
 * The decoder behind the encoder, for captions of so many tokens: a decoder that reads them all at once as it is; one that makes
 * one step as often as there are tokens, its states fed from step to step, its weights shared.
 */
export function join(encoder: Graph, decoder: Decoder, length: number): Joined {
  const b = new Builder(encoder);
  const weights = [...decoder.graph.constants].map(([name, constant]) => {
    const own = b.names.free(name);
    b.constants.set(own, constant);
    return { name, own, constant };
  });
  const body: Graph = {
    ...decoder.graph,
    inputs: [
      ...decoder.graph.inputs,
      ...weights.map(({ name, constant: { type, dims } }) => ({ name, type, dims })),
    ],
    constants: new Map(),
  };
  const ids: ValueInfo = {
    name: b.names.free(decoder.ids.name),
    type: decoder.ids.type,
    dims: [batchOf(encoder), length],
  };
  /** The decoder once more: its values, by its own names. */
  const written = (name: string, values: ReadonlyMap<string, Name>): Map<string, Name> => {
    const own = new Map(
      body.outputs.map((info) => [
        info.name,
        b.names.free(decoder.isStep ? `${name}/${info.name}` : info.name),
      ]),
    );
    const shared = weights.map((weight) => weight.own);
    const inputs = [...decoder.graph.inputs.map((info) => values.get(info.name) ?? ''), ...shared];
    inlineBody(body, { name, inputs, outputs: [...own.values()] }, b);
    return own;
  };
  const own = { ids: ids.name, length, written };
  const { logits, attention } = decoder.isStep ? unrolled(b, decoder, own) : readAtOnce(b, decoder, own);
  const graph: Graph = {
    ...encoder,
    opset: Math.max(encoder.opset, decoder.graph.opset),
    domains: new Map([...encoder.domains, ...decoder.graph.domains]),
    inputs: [...encoder.inputs, ids],
    nodes: [...encoder.nodes, ...b.nodes],
    constants: new Map([...encoder.constants, ...b.constants]),
  };
  const outputs = [...new Set([logits, ...attention, ...encodedValues(decoder)])].map(
    (name): ValueInfo => ({ name, type: DataType.FLOAT, dims: undefined }),
  );
  return { graph: subgraph(graph, graph.inputs, outputs), ids: ids.name, logits, attention };
}

/** What the decoder reads of the encoder: outputs of the whole as well, so that they keep their names. */
export function encodedValues({ encoded, states }: Decoder): string[] {
  return [...new Set([...encoded.values(), ...states.flatMap(({ initial }) => initial ?? [])])];
}

type Write = (name: string, values: ReadonlyMap<string, Name>) => Map<string, Name>;

interface Whole {
  readonly ids: Name;
  readonly length: number;
  readonly written: Write;
}

function readAtOnce(b: Builder, decoder: Decoder, { ids, written }: Whole) {
  const { encoded, logits, attention } = decoder;
  const held = firstStates(b, decoder);
  const values = written('decoder', new Map([...encoded, ...held, [decoder.ids.name, ids]]));
  const named = (name: string) => values.get(name) as Name;
  return { logits: named(logits), attention: attention.map(named) };
}

/** The states before the first token: what the encoder gives, or zeros. */
function firstStates(b: Builder, { encoded, states }: Decoder): Map<string, Name> {
  const [source] = [...encoded.values(), ...states.flatMap(({ initial }) => initial ?? [])];
  return new Map(
    states.map(({ input, initial }) => [input.name, initial ?? zeros(b, input, source)] as const),
  );
}

function unrolled(b: Builder, decoder: Decoder, { ids, length, written }: Whole) {
  const { graph, encoded, states } = decoder;
  let held = firstStates(b, decoder);
  const steps: Map<string, Name>[] = [];
  for (let t = 0; t < length; t++) {
    b.at(`step${t}`);
    const own = b.op('Slice', [ids, b.ints([t]), b.ints([t + 1]), b.ints([1])]);
    const token = decoder.ids.dims?.length === 1 ? b.op('Squeeze', [own, b.ints([1])]) : own;
    const made = written(`step${t}`, new Map([...encoded, ...held, [decoder.ids.name, token]]));
    held = new Map(states.map(({ input, output }) => [input.name, made.get(output) as Name] as const));
    steps.push(made);
  }
  const all = (name: string, isRow: boolean) => {
    b.at('');
    const parts = steps.map((made) => made.get(name) as Name);
    const rows = isRow ? parts.map((part) => b.op('Unsqueeze', [part, b.ints([1])])) : parts;
    return b.op('Concat', rows, { axis: 1 }, b.names.free(name));
  };
  const isRow = valueInfo(graph, decoder.logits).dims?.length === 2;
  return { logits: all(decoder.logits, isRow), attention: decoder.attention.map((name) => all(name, true)) };
}

/** Zeros with the dims of a state, as many rows as the encoder's value has. */
function zeros(b: Builder, state: ValueInfo, source: Name): Name {
  const { name, dims = [], type = DataType.FLOAT } = state;
  b.at(name);
  const rows = b.op('Shape', [source], { end: 1 });
  const batch = stateBatchAxis(state);
  const sizes = dims.map((dim, axis) => (axis === batch ? rows : b.ints([firstSize(dim, name)])));
  const value = { type, dims: [1], bytes: new Uint8Array(type === DataType.DOUBLE ? 8 : 4) };
  return b.op('ConstantOfShape', [b.op('Concat', sizes, { axis: 0 })], { value: { kind: 'tensor', value } });
}

/** Where N is in a state: its first axis whose size is open, behind the number of layers in those of recurrent networks. */
export function stateBatchAxis({ dims = [] }: ValueInfo): number {
  return Math.max(
    dims.findIndex((dim) => typeof dim !== 'number'),
    0,
  );
}

/** A size of a state before the first token: there are no keys and values yet. */
export function firstSize(dim: Dim, name: string): number {
  if (typeof dim === 'number') return dim;
  return isPast(name) ? 0 : 1;
}

function batchOf({ inputs }: Graph): Dim {
  const picture = inputs.find(({ dims }) => dims && dims.length > 2) ?? inputs[0];
  return picture?.dims?.[0] ?? 'N';
}
