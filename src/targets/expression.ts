import { invalid, onlyKeys } from '../check.js';
import { show } from '../errors.js';
import { sizeOf } from '../tensor.js';
import { parseLinearForm, placesIn, type Selection } from './common/linear-form.js';
import { type Goal, isObject, type TargetKind } from './target.js';

/** Any linear expression of the network's outputs. */
export interface ExpressionTarget {
  readonly kind: 'expression';
  /** As `logits[0,3] - 0.5*logits[0,4]`. */
  readonly of: string;
  /** As results call it; default: the expression. */
  readonly name?: string;
}

/** The same when its outputs are joined into one. */
interface Joined extends ExpressionTarget {
  readonly output: string;
  /** The outputs in the order in which they are joined, as they are written and as they are read. */
  readonly outputs: readonly string[];
  readonly parts: readonly string[];
}

/**
 * S = Σ_i w_i y_i + b: a linear expression of values y of one or several outputs, or of any other value between picture and outputs;
 * ∂S/∂y_i = w_i.
 *
 * Indices are those of NumPy. With one for every axis of the output the first is that of the picture, which is 0 or `:`, since
 * pictures are explained one by one; with one less it is left out. Negative ones count from the end, `a:b` and `:` are ranges.
 * Ranges stand in `sum(…)` or `mean(…)`; an output of one value needs no index. Names that hold other signs than letters, digits, dots
 * and underscores stand in double quotes.
 *
 * Outputs are taken as they are: unlike elsewhere, no softmax or sigmoid is stepped over. It has no probability.
 */
export const expressionTarget: TargetKind<ExpressionTarget> = {
  name: 'expression',
  help: 'any linear expression of outputs; sum(…), mean(…)',
  example: 'expression:a[0,3]-b[0]',
  is: (spec): spec is ExpressionTarget => isObject(spec) && 'kind' in spec && spec.kind === 'expression',
  check: (spec) => {
    onlyKeys('a target of the kind "expression"', spec, ['kind', 'of', 'name']);
    if (typeof spec.of !== 'string')
      throw invalid('targets.of', 'an expression as "logits[0,3]"', spec.of, '', 'INVALID_TARGET');
    if (spec.name !== undefined && typeof spec.name !== 'string')
      throw invalid('targets.name', 'a string', spec.name, '', 'INVALID_TARGET');
    parseLinearForm(spec.of);
  },
  output: (spec) => ('output' in spec ? (spec as Joined).output : undefined),
  reads: (spec) => ('parts' in spec ? (spec as Joined).parts : []),
  isConstant: () => true,
  isSingle: () => true,
  prepare: (spec, _, tools) => {
    const outputs = [...new Set(parseLinearForm(spec.of).terms.map(({ of }) => of.output))];
    return { spec: { ...spec, ...tools.join(outputs), outputs } as Joined };
  },
  find: (spec, row, facts) => {
    const { outputs, parts } = spec as Joined;
    const { constant, terms } = parseLinearForm(spec.of);
    const dims = parts.map((name) => facts.output(name).dims);
    const starts = dims.map((_, i) => dims.slice(0, i).reduce((sum, own) => sum + sizeOf(own), 0));
    const weights = new Float64Array(row.data.length);
    for (const { weight, of } of terms) {
      const i = outputs.indexOf(of.output);
      const places = placesOf(of, dims[i]);
      for (const place of places)
        weights[starts[i] + place] += weight / (of.by === 'mean' ? places.length : 1);
    }
    return [formGoal(spec.name ?? spec.of.trim(), weights, constant)];
  },
  parse: (text) => ({ kind: 'expression', of: text }),
};

/** @param dims of the output, without N */
function placesOf({ output, indices = [], by }: Selection, dims: readonly number[]): number[] {
  const isWhole =
    indices.length === dims.length + 1 || (dims.length === 1 && dims[0] === 1 && indices.length === 1);
  const [first] = indices;
  if (
    isWhole &&
    first !== 0 &&
    !(typeof first === 'object' && first.from === undefined && first.to === undefined)
  )
    throw invalid(
      'targets.of',
      `an expression whose first index of ${show(output)} is 0, the picture`,
      first,
      '',
      'INVALID_TARGET',
    );
  const own = isWhole ? indices.slice(1) : indices;
  if (own.length > dims.length)
    throw invalid(
      'targets.of',
      `an expression with at most ${dims.length + 1} indices of ${show(output)}`,
      own.length,
      '',
      'INVALID_TARGET',
    );
  const places = placesIn(dims, own);
  if (places.length === 1 || by !== undefined) return places;
  throw invalid(
    'targets.of',
    `an expression of single values, or of sum(…) and mean(…); this part of ${show(output)} [${dims.join(', ')}] has ${places.length}`,
    output,
    '',
    'INVALID_TARGET',
  );
}

function formGoal(name: string, weights: Float64Array, constant: number): Goal {
  const places = [...weights.keys()].filter((i) => weights[i] !== 0);
  return {
    name,
    kind: 'expression',
    isLinear: true,
    value: ({ data }) => places.reduce((sum, i) => sum + weights[i] * data[i], constant),
    seed: () => Float32Array.from(weights),
  };
}
