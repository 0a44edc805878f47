import { GradcamppError } from '../errors.js';
import { Builder } from '../graph/builder.js';
import {
  ancestors,
  descendants,
  type Graph,
  readersOf,
  subgraph,
  type ValueInfo,
  valueInfo,
} from '../graph/graph.js';
import { boolConstant, int64Constant } from '../onnx/constant.js';
import { DataType } from '../onnx/types.js';
import { finishGraph } from '../runtime/prepare.js';
import { isAside, isPast, type Roles, rolesOf, type Said } from './roles.js';

/** A decoder that reads nothing but tokens, what the encoder gives, and its own states. */
export interface Decoder extends Roles {
  /** Inputs: the tokens, the encoder's values, the states. Outputs: the scores, the states, what is attended to. */
  readonly graph: Graph;
}

/** Which branch of a merged decoder runs. */
const cacheBranch = /use_cache/i;

/**
 * A decoder without the inputs that are the same for every caption. The branch with stored keys is not taken (they cut the
 * way to the encoder), so nothing is stored; masks count every token, positions count from 0.
 *
 * @param encoder what the encoder gives
 * @throws GradcamppError UNSUPPORTED_MODEL, INVALID_OPTION
 */
export async function bindDecoder(
  decoder: Graph,
  encoder: readonly ValueInfo[],
  said: Said,
): Promise<Decoder> {
  const roles = rolesOf(hasCacheBranch(decoder) ? withoutPast(decoder) : decoder, encoder, said);
  const { ids, encoded, states, logits } = roles;
  const kept = new Set([ids.name, ...encoded.keys(), ...states.map(({ input }) => input.name)]);
  const written = await finishGraph(fed(decoder, kept, roles), [], { inference: true });
  const words = [ids.name, ...states.map(({ input }) => input.name)];
  const attention =
    roles.attention.length > 0 ? roles.attention : attentionIn(written, [...encoded.keys()], words);
  const wanted = [logits, ...states.map(({ output }) => output), ...attention];
  const outputs = [...new Set(wanted)].map((name) => valueInfo(written, name));
  const needed = ancestors(written, wanted);
  const lost = written.inputs.find(({ name }) => !kept.has(name) && needed.has(name));
  if (lost)
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `What the decoder's input "${lost.name}" takes cannot be told: it is neither of the encoder's outputs nor a state. Pair it with an output as "state" (--state ${lost.name}=OUTPUT).`,
    );
  const inputs = written.inputs.filter(({ name }) => kept.has(name) && needed.has(name));
  return { ...roles, attention, graph: subgraph(written, inputs, outputs) };
}

/** Whether a decoder holds two in one: with stored keys and values, and without. */
function hasCacheBranch({ inputs }: Graph): boolean {
  return inputs.some(({ name }) => cacheBranch.test(name));
}

/**
 * Whether a decoder goes on where another began, which stored what it read of the picture: no gradient reaches the encoder through
 * what is stored.
 */
export function goesOn(decoder: Graph): boolean {
  const isStored = ({ name }: ValueInfo) => isPast(name) && /encoder/i.test(name.replace(/decoder/gi, ''));
  return !hasCacheBranch(decoder) && decoder.inputs.some(isStored);
}

/** The branch without stored keys and values reads a whole caption at once. */
function withoutPast(decoder: Graph): Graph {
  return {
    ...decoder,
    inputs: decoder.inputs.filter(({ name }) => !isPast(name)),
    outputs: decoder.outputs.filter(({ name }) => !/^present/i.test(name)),
  };
}

/** Constants and nodes in the place of the inputs that are not kept, as far as it is known what they hold. */
function fed(decoder: Graph, kept: ReadonlySet<string>, { ids, encoded }: Roles): Graph {
  const b = new Builder(decoder);
  const constants = new Map(decoder.constants);
  const rows = (name: string) => b.op('Shape', [name], { end: 1 });
  const [source] = encoded.keys();
  const lengthOf = (name: string) => b.op('Shape', [name], { start: 1, end: 2 });
  const filled = (dims: string, value: number, { name, type = DataType.INT64 }: ValueInfo) => {
    const ones = b.op('ConstantOfShape', [dims], {
      value: { kind: 'tensor', value: int64Constant([value]) },
    });
    b.op('Cast', [ones], { to: type }, name);
  };
  const isStep = ids.dims?.length === 1;
  for (const info of decoder.inputs) {
    const { name, type, dims = [] } = info;
    if (kept.has(name)) continue;
    b.at(name);
    if (cacheBranch.test(name))
      constants.set(
        name,
        boolConstant(Array(Math.max(1, dims.length)).fill(false), dims.length === 0 ? [] : [1]),
      );
    else if (isAside(name) && dims.length > 0) {
      const length = /encoder/i.test(name) ? lengthOf(source) : isStep ? b.ints([1]) : lengthOf(ids.name);
      const shape = dims.length === 1 ? length : b.op('Concat', [rows(ids.name), length], { axis: 0 });
      if (!/position/i.test(name)) filled(shape, /mask/i.test(name) ? 1 : 0, info);
      else {
        const count = b.op('Squeeze', [length, b.ints([0])]);
        const places = b.op('Range', [b.int(0), count, b.int(1)]);
        const all = dims.length === 1 ? places : b.op('Expand', [places, shape]);
        b.op('Cast', [all], { to: type ?? DataType.INT64 }, name);
      }
    }
  }
  const made = new Set([...constants.keys(), ...b.nodes.flatMap(({ outputs }) => outputs)]);
  return {
    ...decoder,
    inputs: decoder.inputs.filter(({ name }) => !made.has(name)),
    constants: new Map([...constants, ...b.constants]),
    nodes: [...b.nodes, ...decoder.nodes],
    values: new Map([...decoder.values].filter(([name]) => !made.has(name))),
  };
}

/** What only lays values out otherwise. */
const moves = new Set([
  'Unsqueeze',
  'Squeeze',
  'Reshape',
  'Transpose',
  'Expand',
  'Identity',
  'Cast',
  'Dropout',
]);
const products = new Set(['MatMul', 'Mul', 'Gemm', 'Einsum']);

/** Softmaxes by which values of the picture alone are weighed: attention of words to places. That between words weighs words. */
function attentionIn(graph: Graph, pictures: readonly string[], words: readonly string[]): string[] {
  const values = {
    ...graph,
    nodes: graph.nodes.filter(({ opType }) => opType !== 'Shape' && opType !== 'Size'),
  };
  const ofPictures = descendants(values, pictures);
  const ofWords = descendants(values, words);
  const readers = readersOf(graph);
  const weighs = (name: string): boolean =>
    (readers.get(name) ?? []).some((reader) => {
      if (!reader) return false;
      if (moves.has(reader.opType)) return weighs(reader.outputs[0]);
      const weighed = reader.inputs.filter((input) => input !== name && !graph.constants.has(input));
      const areOfPictures = weighed.every((input) => ofPictures.has(input) && !ofWords.has(input));
      return products.has(reader.opType) && weighed.length > 0 && areOfPictures;
    });
  return graph.nodes.flatMap(({ opType, outputs: [name] }) =>
    opType === 'Softmax' && ofPictures.has(name) && ofWords.has(name) && weighs(name) ? [name] : [],
  );
}
