import { GradcamppError } from '../errors.js';
import { findAxes } from './axes.js';
import { type Axis, digit, hasPlaces, isSequence, other } from './digits.js';
import { valueInfo } from './graph.js';
import { attentionIn, type Search } from './layers.js';
import { type Layout, layoutBy, layoutOf } from './tokens.js';

/** The attention of every token to every token of one sequence, block by block. */
export interface SelfAttention {
  /** softmax(Q Kᵀ …) of each block, [N, heads, T, T] or [N · heads, T, T]. */
  readonly names: readonly string[];
  /** Where the patches are among the tokens, laid out as [N, T, C] would be. */
  readonly layout: Layout;
}

/**
 * The self-attention of a plain transformer, whose tokens are the same from the first block to the last.
 *
 * @throws GradcamppError UNSUPPORTED_MODEL where there is none, or where the tokens change between blocks
 */
export function selfAttention(search: Search): SelfAttention {
  const found = attentionIn(search).filter(({ isSelf }) => isSelf);
  if (found.length === 0)
    throw refusal('and the model has no attention between tokens whose places in the picture are known.');
  const own = found.map(({ name }) => ({ name, layout: tokensOf(name, search) }));
  const key = ({ layout }: (typeof own)[number]) => JSON.stringify(layout);
  const odd = own.find((item) => item.layout === undefined || key(item) !== key(own[0]));
  const [{ layout }] = own;
  if (odd || !layout)
    throw refusal(
      `from the first block to the last, and the tokens of this model change between blocks (windows, grids of several sizes, class tokens that join later): "${(odd ?? own[0]).name}" has dims [${valueInfo(
        search.graph,
        (odd ?? own[0]).name,
      )
        .dims?.map((dim) => dim || '?')
        .join(', ')}].`,
    );
  return { names: own.map(({ name }) => name), layout };
}

function refusal(reason: string): GradcamppError {
  return new GradcamppError(
    'UNSUPPORTED_MODEL',
    `Attention methods follow every token ${reason} Use a method of a layer, such as grad-cam++.`,
  );
}

/** The tokens of attention [N, …, T, T], where its queries and keys are the same. */
function tokensOf(name: string, { graph, image, tokens }: Search): Layout | undefined {
  const axes = findAxes(graph, image).get(name);
  const { dims = [] } = valueInfo(graph, name);
  const [queries, keys] = dims.slice(-2);
  if (queries !== keys || typeof keys !== 'number') return undefined;
  if (!axes) return tokens && layoutBy(tokens, ['', keys, 1]);
  const [first] = axes[0];
  if (isSequence(first) || first.kind !== 'batch' || axes.slice(0, -2).some(hasPlaces)) return undefined;
  const rank = (valueInfo(graph, image).dims?.length ?? 0) - 2;
  const layout = (axis: Axis) => layoutOf([[digit('batch', '')], axis, other(2)], rank);
  const [byQuery, byKey] = axes.slice(-2).map(layout);
  return JSON.stringify(byQuery) === JSON.stringify(byKey) ? byKey : undefined;
}
