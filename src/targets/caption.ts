import { invalid, onlyKeys } from '../check.js';
import { checkOutput } from './class.js';
import { planFor } from './common/detection-layouts.js';
import { logProbabilities, logSlopes } from './common/log-probabilities.js';
import { partsOf } from './common/parts.js';
import { type Facts, type Goal, isObject, type Row, type TargetKind } from './target.js';

/** A caption that a decoder says of a picture. */
export interface CaptionTarget {
  readonly kind: 'caption';
  /** Its tokens, without the one that begins it: row t of the output says which is the t-th. */
  readonly ids: readonly number[];
  /** The whole caption, each of its tokens, or one of them, counted from 0; default: the caption, then each token. */
  readonly part?: 'caption' | 'tokens' | number;
  /** What the tokens are called; default: names of classes, else their ids. */
  readonly names?: readonly string[];
  /** The output that holds the rows of scores, [N, T, vocabulary]; default: the model's scores. */
  readonly output?: string;
}

/**
 * S_t = log p(token t | tokens before it, picture), with p = softmax of row t of the decoder's output; of the caption S = Σ_t S_t.
 * ∂S_t/∂s_t = e_k − p, and 0 in all other rows. The decoder reads the tokens before (teacher forcing), so a caption that it would not
 * say has a map as well. Source: the caption's log-probability of arXiv 1710.11063, section 6; a token's is one term of it.
 *
 * The probability of a token is p; of the caption it is exp of the mean log-probability, so that captions of any length compare.
 */
export const captionTarget: TargetKind<CaptionTarget> = {
  name: 'caption',
  help: 'tokens of a caption by their ids; :part=caption, :part=tokens, :part=3',
  example: 'caption:5,0,6',
  is: (spec): spec is CaptionTarget => isObject(spec) && 'kind' in spec && spec.kind === 'caption',
  check: (spec) => {
    onlyKeys('a target of the kind "caption"', spec, ['kind', 'ids', 'part', 'names', 'output']);
    const { ids, part, names } = spec;
    if (!Array.isArray(ids) || ids.length === 0 || !ids.every(isCount))
      throw invalid('targets.ids', 'a list of token ids, whole numbers from 0', ids, '', 'INVALID_TARGET');
    if (
      part !== undefined &&
      part !== 'caption' &&
      part !== 'tokens' &&
      !(isCount(part) && part < ids.length)
    )
      throw invalid(
        'targets.part',
        `'caption', 'tokens' or a number below ${ids.length}, the number of tokens`,
        part,
        '',
        'INVALID_TARGET',
      );
    const areNames = Array.isArray(names) && names.length === ids.length;
    if (names !== undefined && !(areNames && names.every((name) => typeof name === 'string')))
      throw invalid('targets.names', `${ids.length} strings, one a token`, names, '', 'INVALID_TARGET');
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  takes: {
    what: 'rows of scores of tokens, [N, T, vocabulary]',
    // A detector's candidates have such dims too: tokens are found in them only where ids say so.
    is: (network, { ids }) => {
      const { dims } = network.output;
      return dims.length === 0 || (dims.length === 3 && (ids !== undefined || !planFor(network, {})));
    },
  },
  isSingle: ({ part }) => part === 'caption' || typeof part === 'number',
  find: (spec, row, facts) => {
    const { ids, part } = spec;
    checkRow(ids, row);
    const nameOf = (t: number) => spec.names?.[t] ?? facts.classes?.[ids[t]]?.name ?? String(ids[t]);
    const names = ids.map((_, t) => nameOf(t));
    const whole = () => goalOf(ids, [0, ids.length], facts, { name: names.join(' '), key: `caption ${ids}` });
    const token = (t: number) =>
      goalOf(ids, [t, t + 1], facts, { name: names[t], class: ids[t], key: `caption ${ids} ${t}` });
    if (part === 'caption') return [whole()];
    if (typeof part === 'number') return [token(part)];
    const tokens = ids.map((_, t) => token(t));
    return part === 'tokens' ? tokens : [whole(), ...tokens];
  },
  parse: (text) => {
    const { what, part, output } = partsOf(text, ['part', 'output']);
    const asNumber = (typed: string) => (/^\d+$/.test(typed) ? Number(typed) : typed);
    return {
      kind: 'caption',
      ids: what.split(',').map((id) => asNumber(id.trim()) as number),
      ...(part === undefined ? {} : { part: asNumber(part) as CaptionTarget['part'] }),
      ...(output === undefined ? {} : { output }),
    };
  },
};

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function checkRow(ids: readonly number[], { data, dims }: Row): void {
  const count = dims[dims.length - 1];
  const rows = data.length / count;
  if (ids.length > rows)
    throw invalid(
      'targets.ids',
      `at most ${rows} tokens, as the output has rows`,
      ids.length,
      '',
      'INVALID_TARGET',
    );
  const unknown = ids.find((id) => id >= count);
  if (unknown !== undefined)
    throw invalid(
      'targets.ids',
      `ids below ${count}, the size of the vocabulary`,
      unknown,
      '',
      'INVALID_TARGET',
    );
}

/** The tokens from `from` to before `to`. */
function goalOf(
  ids: readonly number[],
  [from, to]: readonly [number, number],
  { link }: Facts,
  named: Pick<Goal, 'name' | 'class' | 'key'>,
): Goal {
  const part = ({ data, dims }: Row, t: number) => {
    const count = dims[dims.length - 1];
    return data.subarray(t * count, (t + 1) * count);
  };
  const value = (row: Row) => {
    let sum = 0;
    for (let t = from; t < to; t++) sum += logProbabilities(part(row, t), link)[ids[t]];
    return sum;
  };
  return {
    ...named,
    kind: 'caption',
    value,
    seed: (row) => {
      const seed = new Float32Array(row.data.length);
      const count = row.dims[row.dims.length - 1];
      for (let t = from; t < to; t++) seed.set(logSlopes(part(row, t), ids[t], link), t * count);
      return seed;
    },
    probability: (row) => Math.exp(value(row) / (to - from)),
  };
}
