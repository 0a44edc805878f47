import { invalid, onlyKeys } from '../check.js';
import { checkOutput } from './class.js';
import { partsOf } from './common/parts.js';
import { type Goal, isObject, type Row, type TargetKind } from './target.js';

/** How alike an embedding is to another. */
export interface EmbeddingTarget {
  readonly kind: 'embedding';
  /** The vector that it is compared with: numbers, or the path of a .npy file. */
  readonly to?: string | readonly number[] | Float32Array | Float64Array;
  /** Or another picture, whose embedding it is compared with: anything that can be explained. */
  readonly like?: unknown;
  /** As results call it; default: the file's name. */
  readonly name?: string;
  /** The output that holds the embedding; default: the model's scores. */
  readonly output?: string;
}

/** The same with the vector read, or the other picture embedded. */
interface Embedded extends EmbeddingTarget {
  readonly vector: Float64Array;
}

/**
 * S = cos(e, r) = e · r / (‖e‖ ‖r‖): how alike the embedding e of the picture is to a vector r, given or the embedding of another
 * picture. ∂S/∂e = (r/‖r‖ − S e/‖e‖) / ‖e‖. pytorch-grad-cam's SimilarityToConceptTarget; Stylianou et al., arXiv 1901.00536.
 *
 * An output of more dims than one is one long vector. Embeddings of length 0 have the cosine 0. It has no probability; its share
 * is (1 + S) / 2.
 */
export const embeddingTarget: TargetKind<EmbeddingTarget> = {
  name: 'embedding',
  help: 'likeness to another picture, :like=FILE, or to a vector, :to=FILE.npy',
  example: 'embedding:like=b.jpg',
  is: (spec): spec is EmbeddingTarget => isObject(spec) && 'kind' in spec && spec.kind === 'embedding',
  check: (spec) => {
    onlyKeys('a target of the kind "embedding"', spec, ['kind', 'to', 'like', 'name', 'output']);
    const { to, like, name } = spec;
    if ((to === undefined) === (like === undefined))
      throw invalid(
        'targets',
        '"to", a vector or .npy file, or "like", another picture, and not both',
        spec,
        '',
        'INVALID_TARGET',
      );
    if (to !== undefined && typeof to !== 'string') checkVector(to);
    if (name !== undefined && typeof name !== 'string')
      throw invalid('targets.name', 'a string', name, '', 'INVALID_TARGET');
    checkOutput(spec.output);
  },
  output: ({ output }) => output,
  isSingle: () => true,
  prepare: async (spec, _, tools) => {
    const { to, like } = spec;
    const given = like === undefined ? to : (await tools.rowOf(like)).data;
    const vector = Float64Array.from(
      typeof given === 'string' ? (await tools.numbers(given)).data : (given as ArrayLike<number>),
    );
    if (norm(vector) > 0) return { spec: { ...spec, vector } as Embedded };
    const received = like === undefined ? to : like;
    throw invalid(
      like === undefined ? 'targets.to' : 'targets.like',
      'an embedding that is not zero',
      received,
      '',
      'INVALID_TARGET',
    );
  },
  find: (spec, { data }) => {
    const { vector } = spec as Embedded;
    if (vector.length === data.length) return [cosineGoal(vector, nameOf(spec))];
    throw invalid(
      'targets.to',
      `a vector of ${data.length} numbers, as the output has`,
      vector,
      '',
      'INVALID_TARGET',
    );
  },
  parse: (text) => {
    const { what, to, like, output } = partsOf(text, ['to', 'like', 'output']);
    if (what !== '' || (to === undefined) === (like === undefined))
      throw invalid('target', 'embedding:like=PICTURE or embedding:to=FILE.npy', text);
    return {
      kind: 'embedding',
      ...(to === undefined ? { like } : { to }),
      ...(output === undefined ? {} : { output }),
    };
  },
};

function cosineGoal(vector: Float64Array, name: string): Goal {
  const length = norm(vector);
  const cosine = ({ data }: Row) => {
    const own = norm(data);
    return own === 0 ? 0 : data.reduce((sum, value, i) => sum + value * vector[i], 0) / (own * length);
  };
  return {
    name,
    kind: 'embedding',
    value: cosine,
    seed: (row) => {
      const own = norm(row.data);
      const value = cosine(row);
      return row.data.map((item, i) => (own === 0 ? 0 : (vector[i] / length - (value * item) / own) / own));
    },
    share: (row) => (1 + cosine(row)) / 2,
  };
}

function norm(vector: Float64Array | Float32Array): number {
  return Math.sqrt((vector as Float64Array).reduce((sum, value) => sum + value * value, 0));
}

function nameOf({ name, to, like }: EmbeddingTarget): string {
  if (name !== undefined) return name;
  const other = to ?? like;
  const file =
    typeof other === 'string' || other instanceof URL ? String(other).split(/[\\/]/).at(-1) : undefined;
  return `like ${file ?? (to === undefined ? 'another picture' : 'a vector')}`;
}

function checkVector(vector: unknown): void {
  const isList = Array.isArray(vector) || vector instanceof Float32Array || vector instanceof Float64Array;
  if (isList && vector.length > 0 && Array.from(vector as ArrayLike<unknown>).every(Number.isFinite)) return;
  throw invalid(
    'targets.to',
    'a list of finite numbers, or the path of a .npy file',
    vector,
    '',
    'INVALID_TARGET',
  );
}
