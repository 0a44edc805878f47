import { GradcamppError } from '../errors.js';
import type { Dim, Graph, ValueInfo } from '../graph/graph.js';
import { DataType, isFloat } from '../onnx/types.js';

/** What is said of a decoder, where names and dims do not tell it. */
export interface Said {
  /** Which output is the next value of which input, of decoders that make one step. */
  readonly state?: Readonly<Record<string, string>>;
  /** The output that holds the scores of tokens. */
  readonly output?: string;
}

/** A state of a decoder that makes one step: the output feeds the input of the next step. */
export interface State {
  readonly input: ValueInfo;
  readonly output: string;
  /** The encoder's output that it begins with; undefined: zeros. */
  readonly initial: string | undefined;
}

/** What each input and output of a decoder is for. */
export interface Roles {
  readonly ids: ValueInfo;
  /** Whether it takes one token (and what is stored of those before) and gives the scores of the next: it is run token by token. */
  readonly isStep: boolean;
  /** The encoder's outputs, by the decoder's inputs that take them. */
  readonly encoded: ReadonlyMap<string, string>;
  readonly states: readonly State[];
  readonly logits: string;
  /** Outputs, or values inside, that hold what the decoder attends to. */
  readonly attention: readonly string[];
}

/** Outputs that hold attention to the picture; that of tokens to each other is another. */
const attentionName = /attention|attn|alpha/i;
const ownAttention = /self|decoder_attention/i;

/**
 * Finds by names, types and dims what a decoder's inputs and outputs are for.
 *
 * @param encoder what the encoder gives
 * @throws GradcamppError UNSUPPORTED_MODEL naming what cannot be told
 */
export function rolesOf(decoder: Graph, encoder: readonly ValueInfo[], said: Said): Roles {
  const ids = idsOf(decoder);
  const hasPast = decoder.inputs.some(({ name }) => isPast(name));
  const isStep = ids.dims?.length === 1 || ids.dims?.[1] === 1 || hasPast;
  const floats = decoder.inputs.filter(({ type }) => type === undefined || isFloat(type));
  const outputs = decoder.outputs.filter(({ type }) => type === undefined || isFloat(type));
  const logits = logitsOf(outputs, said.output);
  const attention = outputs
    .map(({ name }) => name)
    .filter((name) => name !== logits && attentionName.test(name) && !ownAttention.test(name));
  const rest = outputs.filter(({ name }) => name !== logits && !attention.includes(name));
  const pairs = statePairs(floats, rest, encoder, said.state ?? {});
  const isState = new Set(pairs.map(([input]) => input.name));
  const open = floats.filter(({ name }) => !isState.has(name));
  const encoded = encodedInputs(open, encoder);
  const used = new Set(encoded.values());
  const left = encoder.filter(({ name }) => !used.has(name));
  const states = pairs.map(([input, output]): State => {
    const initial = left.find((own) => stem(own.name) === stem(input.name) && fits(own, input));
    return { input, output, initial: initial?.name };
  });
  if (encoded.size === 0 && states.every(({ initial }) => initial === undefined))
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `The decoder takes nothing from the encoder: its inputs are ${shown(decoder.inputs)}, the encoder's outputs ${shown(encoder)}.`,
    );
  return { ids, isStep, encoded, states, logits, attention };
}

const wholeTypes: ReadonlySet<DataType | undefined> = new Set([DataType.INT64, DataType.INT32]);

function idsOf({ inputs, name }: Graph): ValueInfo {
  const whole = inputs.filter(({ type }) => wholeTypes.has(type));
  const named =
    whole.find((info) => /^(decoder_)?input_ids$/.test(info.name)) ??
    whole.find((info) => /ids|token|word|caption|prev/i.test(info.name) && !isAside(info.name));
  const others = whole.filter((info) => !isAside(info.name));
  const found = named ?? (others.length === 1 ? others[0] : undefined);
  if (found && (found.dims?.length === 1 || found.dims?.length === 2)) return found;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `The decoder "${name}" must take the ids of tokens, whole numbers [N, length], [N, 1] or [N]; its inputs are ${shown(inputs)}.`,
  );
}

/** Inputs beside the tokens that are the same for every caption: what counts, and where. */
export function isAside(name: string): boolean {
  return /mask|position|segment|token_type|length/i.test(name);
}

function logitsOf(outputs: readonly ValueInfo[], named: string | undefined): string {
  if (named !== undefined) return named;
  const found =
    outputs.find(({ name }) => /logits/i.test(name)) ??
    outputs.find(({ name }) => /score|prob|pred|output|vocab/i.test(name) && !attentionName.test(name)) ??
    outputs[0];
  if (found) return found.name;
  throw new GradcamppError('UNSUPPORTED_MODEL', 'The decoder gives no scores: it has no output of floats.');
}

/** What is left of a name without what tells a value of this step from that of the next. */
function stem(name: string): string {
  return name
    .toLowerCase()
    .replace(
      /^(past_key_values|present|past|next|new|prev(ious)?|last|init(ial)?|in|out|updated?)[_.:-]?/,
      '',
    )
    .replace(/[_.:-]?(next|new|prev(ious)?|last|init(ial)?|in|out|updated?|t|n|0|1)$/, '')
    .replace(/^(hidden|state)$/, 'h');
}

/** Inputs with the outputs that are their next values. */
function statePairs(
  inputs: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
  encoder: readonly ValueInfo[],
  said: Readonly<Record<string, string>>,
): [ValueInfo, string][] {
  const pairs: [ValueInfo, string][] = [];
  const taken = new Set<string>();
  const pair = (input: ValueInfo, output: string) => {
    pairs.push([input, output]);
    taken.add(output);
  };
  for (const [name, output] of Object.entries(said)) {
    const input = inputs.find((info) => info.name === name);
    if (!input || !outputs.some((info) => info.name === output))
      throw new GradcamppError(
        'INVALID_OPTION',
        `"state" must pair an input of the decoder with an output; received ${name}=${output}. Inputs: ${shown(inputs)}. Outputs: ${shown(outputs)}.`,
      );
    pair(input, output);
  }
  const open = () => inputs.filter((info) => !pairs.some(([input]) => input === info));
  const free = () => outputs.filter(({ name }) => !taken.has(name));
  for (const input of open()) {
    const own = free().filter(({ name }) => stem(name) === stem(input.name));
    if (own.length === 1 && fits(own[0], input)) pair(input, own[0].name);
  }
  const isEncoded = ({ name }: ValueInfo) => encoder.some((info) => info.name === name);
  const rest = open().filter((info) => !isEncoded(info) && !/encoder|feature|memory/i.test(info.name));
  for (const input of rest) {
    const own = free().filter((info) => fits(info, input));
    const rivals = rest.filter((other) => own.length === 1 && fits(own[0], other));
    if (own.length === 1 && rivals.length === 1) pair(input, own[0].name);
  }
  return pairs;
}

/** Whether one may take the place of the other: as many axes, and no two sizes that differ. */
function fits(a: ValueInfo, b: ValueInfo): boolean {
  if (!a.dims || !b.dims) return true;
  const others = b.dims;
  const differ = (dim: Dim, i: number) =>
    typeof dim === 'number' && typeof others[i] === 'number' && dim !== others[i];
  return a.dims.length === others.length && !a.dims.some(differ);
}

/** Which of the encoder's outputs the decoder's inputs take: of the same name, else the only ones that fit. */
function encodedInputs(inputs: readonly ValueInfo[], encoder: readonly ValueInfo[]): Map<string, string> {
  const found = new Map<string, string>();
  const open = inputs.filter(({ name }) => !isAside(name) && !isPast(name));
  for (const input of open) {
    const fitting = encoder.filter((info) => fits(info, input));
    const same = fitting.find(({ name }) => name === input.name || stem(name) === stem(input.name));
    const last = fitting.find(({ name }) => name === 'last_hidden_state');
    const own = same ?? last ?? fitting[0];
    if (own) found.set(input.name, own.name);
    else
      throw new GradcamppError(
        'UNSUPPORTED_MODEL',
        `What the decoder's input "${input.name}" takes cannot be told: it is no state of the decoder, and none of the encoder's outputs ${shown(encoder)} fits ${shown([input])}. Pair a state with the output that is its next value as "state" (--state ${input.name}=OUTPUT).`,
      );
  }
  return found;
}

/** Keys and values of earlier tokens. */
export function isPast(name: string): boolean {
  return /^past|past_key/i.test(name);
}

function shown(values: readonly ValueInfo[]): string {
  return (
    values
      .map(({ name, dims }) => `"${name}" [${dims?.map((dim) => dim || '?').join(', ') ?? '?'}]`)
      .join(', ') || 'none'
  );
}
