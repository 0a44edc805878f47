import type { Name } from '../../graph/builder.js';
import {
  classRows,
  fitted,
  hasClass,
  type MapOptions,
  mapNodes,
  type Normalization,
  normalized,
  zeroMaps,
} from '../maps.js';
import type { NetworkBuilder } from '../network-builder.js';

export interface ExplanationLossOptions extends MapOptions {
  /**
   * What is explained of each picture: its class one-hot, [N, M]; or P classes of it, each one-hot, [N, P, M], a row of zeros where
   * the picture has fewer.
   */
  readonly labels: Name;
  /** The teacher's maps of the same pictures and classes, [N, P or 1, …]; brought to the size of the student's where they have another. */
  readonly teacher: Name;
  /** Default l2. Not of the cosine form, for which scale is nothing. */
  readonly normalization?: Normalization;
  /**
   * 'squared' (default): Σ (L_s − L_t)², the paper's ‖L_s − L_t‖²₂ (arXiv 1710.11063, section 5, Eq. 21); 'cosine':
   * 1 − cos(L_s, L_t), as e²KD compares explanations (arXiv 2402.03119).
   */
  readonly form?: 'squared' | 'cosine';
}

/**
 * The student looks where its teacher looks: the mean over pictures of the distance between their maps of the true class, or of its
 * sum over the classes that the picture has.
 * Where we differ from the paper: its maps are raw; ours are of length 1 unless `normalization` says otherwise, since the
 * scales of two networks' gradients have nothing to do with each other. Maps of the student that are zero everywhere are counted
 * ("zero maps").
 */
export function explanationLoss(b: NetworkBuilder, options: ExplanationLossOptions): Name {
  const { layer, form = 'squared' } = options;
  const normalization = form === 'cosine' ? 'l2' : (options.normalization ?? 'l2');
  const rank = b.dims(layer).length;
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const rows = classRows(b, options.labels);
  const given = fitted(b, options.teacher, layer);
  const zeros: Name[] = [];
  const distances = rows.map((labels, p) => {
    const map = mapNodes(b, { ...options, labels });
    const own = rows.length === 1 ? given : b.op('Gather', [given, b.ints([p])], { axis: 1 });
    const student = normalized(b, map, rank, normalization);
    const teacher = normalized(b, own, rank, normalization);
    zeros.push(zeroMaps(b, map, labels));
    if (form === 'squared') return b.reduceSum(b.square(b.sub(student, teacher)), axes, 0);
    return b.sub(hasClass(b, labels), b.reduceSum(b.mul(student, teacher), axes, 0));
  });
  b.fetch('zero maps', total(b, zeros));
  return b.op('ReduceMean', [total(b, distances)], { keepdims: 0 });
}

function total(b: NetworkBuilder, values: readonly Name[]): Name {
  return values.length > 1 ? b.op('Sum', values) : values[0];
}
