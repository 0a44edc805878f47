import { invalid, onlyKeys } from '../check.js';
import { show } from '../errors.js';
import { sizeOf } from '../tensor.js';
import { checkOutput } from './class.js';
import { planFor } from './common/detection-layouts.js';
import { logProbabilities, logSlopes } from './common/log-probabilities.js';
import { partsOf } from './common/parts.js';
import {
  baseOf,
  type Classes,
  type Facts,
  type Goal,
  isObject,
  type NetworkFacts,
  type Row,
  type TargetKind,
} from './target.js';

/** What a network reads in a line of text. */
export interface ReadingTarget {
  readonly kind: 'reading';
  /** The whole line, each of its characters, or one of them, counted from 0; default: the line, then each character. */
  readonly part?: 'line' | 'characters' | number;
  /** The class that means "no character": 'first' (default, unless names say otherwise), 'last', or its index. */
  readonly blank?: 'first' | 'last' | number;
  /** What the other classes are, in their order: characters, or a file with one a line. Default: names of classes. */
  readonly alphabet?: string | readonly string[];
  /** The output that holds the frames; default: the model's scores. */
  readonly output?: string;
}

/** The same when its alphabet is read. */
interface Lettered extends ReadingTarget {
  readonly letters: readonly string[] | undefined;
}

/**
 * S = Σ_{t ∈ F} log p_t(k_t): the log-probability of a reading by connectionist temporal classification (Graves et al., ICML 2006)
 * over frames F, with p_t = softmax of frame t and k_t its best class. The greedy reading takes the best class of every frame,
 * joins frames of one class in a row, and drops the blank. F holds the frames of one character, or for the line all frames, those
 * of the blank too. ∂S/∂s_t = e_{k_t} − p_t.
 *
 * The path stays the chosen one in changed pictures; all other paths that spell the same are left out, as in greedy decoding. The
 * probability is exp of the mean log-probability over F, so that lines of any length compare. The box of a character is what
 * its frames cover of the input's width.
 *
 * Outputs are [N, T, C], or [T, N, C] as recurrent networks give them.
 *
 * What a frame says is made of few positions of the explained layer, often of one, and of all characters by the same channels. One
 * weight a channel, as Grad-CAM and Grad-CAM++ have it, then marks every character alike; where no method is named a character is
 * explained by `layer-cam`, whose weights are of channel and position. The gradient of a whole line is largest in the frames that are
 * least certain, most of them between characters; what weighs it by positions or powers goes there, so the line is explained by
 * `grad-cam`, the mean of signed gradients.
 */
export const readingTarget: TargetKind<ReadingTarget> = {
  name: 'reading',
  help: 'a line of text; reading:characters, reading:3; :blank=last, :alphabet=FILE',
  example: 'reading:line',
  is: (spec): spec is ReadingTarget => isObject(spec) && 'kind' in spec && spec.kind === 'reading',
  check: (spec) => {
    onlyKeys('a target of the kind "reading"', spec, ['kind', 'part', 'blank', 'alphabet', 'output']);
    const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
    const { part, blank, alphabet } = spec;
    if (part !== undefined && part !== 'line' && part !== 'characters' && !isCount(part))
      throw invalid('targets.part', "'line', 'characters' or a number from 0", part, '', 'INVALID_TARGET');
    if (blank !== undefined && blank !== 'first' && blank !== 'last' && !isCount(blank))
      throw invalid('targets.blank', "'first', 'last' or an index", blank, '', 'INVALID_TARGET');
    const isList =
      Array.isArray(alphabet) && alphabet.length > 0 && alphabet.every((item) => typeof item === 'string');
    if (alphabet !== undefined && typeof alphabet !== 'string' && !isList)
      throw invalid(
        'targets.alphabet',
        'a list of characters, or the path of a file with one a line',
        alphabet,
        '',
        'INVALID_TARGET',
      );
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  takes: { what: 'the frames of a line of text, [N, frames, characters]', is: mayBeFrames },
  isSingle: ({ part }) => part === 'line' || typeof part === 'number',
  prepare: async (spec, network, tools) => {
    const { alphabet } = spec;
    const read = typeof alphabet === 'string' ? linesOf(await tools.text(alphabet)) : alphabet;
    const letters = read ?? ownLetters(network);
    return { spec: { ...spec, letters } as Lettered };
  },
  find: (spec, row, facts) => {
    const { part, blank, letters } = spec as Lettered;
    const frames = framesOf(row, facts);
    const empty = blankOf(blank, frames.count, letters);
    const named = letterNames(letters, frames.count, { blank: empty, isGiven: spec.alphabet !== undefined });
    const nameOf = named ?? String;
    const characters = readGreedily(frames.path, empty);
    const goals = characters.map(({ index, from, to }, i) =>
      readingGoal(
        {
          name: nameOf(index),
          class: index,
          key: `reading ${i}`,
          box: boxOf(from, to, frames, facts),
          method: 'layer-cam',
        },
        [from, to],
        frames,
      ),
    );
    const text = characters.map(({ index }) => nameOf(index)).join(named ? '' : ' ');
    const line = readingGoal(
      { name: text === '' ? '(nothing)' : text, key: 'reading line', method: 'grad-cam' },
      [0, frames.length],
      frames,
    );
    if (part === 'line') return [line];
    if (part === 'characters') return goals;
    if (part === undefined) return [line, ...goals];
    if (part < goals.length) return [goals[part]];
    throw invalid(
      'targets.part',
      `below ${goals.length}, the number of characters in ${show(text)}`,
      part,
      '',
      'INVALID_TARGET',
    );
  },
  parse: (text) => {
    const { what, blank, alphabet, output } = partsOf(text, ['blank', 'alphabet', 'output']);
    const asNumber = (typed: string) => (/^\d+$/.test(typed) ? Number(typed) : typed);
    return {
      kind: 'reading',
      ...(what === '' ? {} : { part: asNumber(what) as ReadingTarget['part'] }),
      ...(blank === undefined ? {} : { blank: asNumber(blank) as ReadingTarget['blank'] }),
      ...(alphabet === undefined ? {} : { alphabet }),
      ...(output === undefined ? {} : { output }),
    };
  },
  fits: (network) => {
    if (!looksLikeFrames(network)) return undefined;
    const { name, dims } = network.output;
    const shown = dims.map((dim) => dim || '?').join(', ');
    return {
      spec: { kind: 'reading' },
      note: `The output ${show(name)} [${shown}] is taken as the frames of a line of text, class 0 as the blank: the line and each character are explained, where no method is named by grad-cam and layer-cam. Choose with --target reading:line or reading:characters; :blank=last, :alphabet=FILE.`,
    };
  },
};

/** [N, T, C] with a softmax over C, or with frames that are columns of the picture. */
function looksLikeFrames({ output, size }: NetworkFacts): boolean {
  const [frames, classes, ...more] = output.dims.slice(1);
  if (output.dims.length !== 3 || more.length > 0 || frames === 1 || classes === 1 || size.length !== 2)
    return false;
  if (output.isStepped && baseOf(output.link) === 'softmax') return true;
  const [height, width] = size;
  const isLine = typeof height === 'number' && height <= 100;
  if (!isLine || typeof classes !== 'number') return false;
  if (typeof frames !== 'number' || typeof width !== 'number') return typeof width !== 'number';
  return [1, 2, 4, 8, 16, 32].includes(width / frames);
}

/**
 * Whether an output may be frames, [N, T, C] or [T, N, C]. A detector's candidates have such dims too: they are frames only where
 * a softmax, the alphabet or the blank says so.
 */
function mayBeFrames(network: NetworkFacts, { blank, alphabet }: ReadingTarget): boolean {
  const { dims, isStepped, link } = network.output;
  if (dims.length === 0) return true;
  if (dims.length < 3 || dims.slice(1).filter((dim) => dim !== 1).length > 2) return false;
  const isSaid = blank !== undefined || alphabet !== undefined;
  const named = ownLetters(network)?.length;
  const others = typeof named === 'number' ? Number(dims.at(-1)) - named : -1; // the blank, a space
  if (isSaid || (isStepped && baseOf(link) === 'softmax') || [0, 1, 2].includes(others)) return true;
  return planFor(network, {}) === undefined;
}

/** One picture's frames. */
interface Frames {
  /** T. */
  readonly length: number;
  /** The number of classes, C. */
  readonly count: number;
  /** The best class of every frame. */
  readonly path: Int32Array;
  /** log p_t(c) for all classes of a frame. */
  readonly logs: (row: Row, t: number) => Float64Array;
  /** ∂ log p_t(k) / ∂ the values of the frame. */
  readonly slopes: (row: Row, t: number, k: number) => Float64Array;
}

function framesOf({ data, dims }: Row, { link }: Facts): Frames {
  const count = dims[dims.length - 1];
  const length = sizeOf(dims) / count;
  const part = (row: Row, t: number) => row.data.subarray(t * count, (t + 1) * count);
  const path = Int32Array.from({ length }, (_, t) =>
    part({ data, dims }, t).reduce((best, value, k, all) => (value > all[best] ? k : best), 0),
  );
  return {
    length,
    count,
    path,
    logs: (row, t) => logProbabilities(part(row, t), link),
    slopes: (row, t, k) => logSlopes(part(row, t), k, link),
  };
}

/** A character of the greedy reading, and its frames. */
interface Character {
  readonly index: number;
  readonly from: number;
  /** Behind the last one. */
  readonly to: number;
}

function readGreedily(path: Int32Array, blank: number): Character[] {
  const found: Character[] = [];
  for (let from = 0; from < path.length; ) {
    let to = from + 1;
    while (to < path.length && path[to] === path[from]) to++;
    if (path[from] !== blank) found.push({ index: path[from], from, to });
    from = to;
  }
  return found;
}

function readingGoal(
  goal: Pick<Goal, 'name' | 'class' | 'key' | 'box' | 'method'>,
  [from, to]: readonly [number, number],
  { path, logs, slopes, count }: Frames,
): Goal {
  const value = (row: Row) => {
    let sum = 0;
    for (let t = from; t < to; t++) sum += logs(row, t)[path[t]];
    return sum;
  };
  return {
    ...goal,
    kind: 'reading',
    value,
    seed: (row) => {
      const seed = new Float32Array(row.data.length);
      for (let t = from; t < to; t++) seed.set(slopes(row, t, path[t]), t * count);
      return seed;
    },
    probability: (row) => Math.exp(value(row) / (to - from)),
  };
}

function boxOf(from: number, to: number, { length }: Frames, { size }: Facts): Goal['box'] {
  const [height, width] = size.slice(-2);
  const step = width / length;
  return { x: from * step, y: 0, width: (to - from) * step, height };
}

function blankOf(
  blank: ReadingTarget['blank'],
  count: number,
  letters: readonly string[] | undefined,
): number {
  if (blank === 'last') return count - 1;
  if (typeof blank === 'number') {
    if (blank < count) return blank;
    throw invalid(
      'targets.blank',
      `'first', 'last' or an index from 0 to ${count - 1}`,
      blank,
      '',
      'INVALID_TARGET',
    );
  }
  const isBlank = (name: string | undefined) =>
    name !== undefined && /^$|^[<[]?(blank|ctc|pad)[>\]]?$|^[ε∅]$/i.test(name);
  return blank === undefined &&
    letters?.length === count &&
    !isBlank(letters[0]) &&
    isBlank(letters[count - 1])
    ? count - 1
    : 0;
}

/**
 * What classes are called. Names for all of them count the blank, names for all but one do not; one name less leaves a space at the
 * end, as PaddleOCR has it. Any other number names nothing: then they are called by their index, unless the names were given for
 * this reading.
 */
function letterNames(
  letters: readonly string[] | undefined,
  count: number,
  { blank, isGiven }: { readonly blank: number; readonly isGiven: boolean },
): ((index: number) => string) | undefined {
  if (!letters) return undefined;
  if (letters.length === count) return (index) => letters[index];
  const own = letters.length === count - 2 ? [...letters, ' '] : letters;
  if (own.length === count - 1) return (index) => own[index - Number(index > blank)];
  if (!isGiven) return undefined;
  throw invalid(
    'targets.alphabet',
    `${count - 1} characters, one for each class but the blank`,
    letters.length,
    '',
    'INVALID_TARGET',
  );
}

/** Names of classes, or the characters that RapidOCR writes into its models. */
function ownLetters({ classes, metadata }: NetworkFacts): readonly string[] | undefined {
  const written = metadata.get('character');
  return (
    (classes as Classes | undefined)?.map(({ name }) => name) ??
    (written === undefined ? undefined : linesOf(written))
  );
}

/** One a line; a line may be a space. */
function linesOf(text: string): string[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}
