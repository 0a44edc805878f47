import type { Name } from '../../graph/builder.js';
import { fitted, type MapOptions, mapNodes, type Normalization, normalized, zeroMaps } from '../maps.js';
import type { NetworkBuilder } from '../network-builder.js';

export interface ExplanationLossOptions extends MapOptions {
  /** The teacher's map of the same pictures, [N, 1, …]; brought to the size of the student's where it has another. */
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
 * The student looks where its teacher looks: the mean over pictures of the distance between their maps of the true class.
 * Where we differ from the paper: its maps are raw; ours are of length 1 unless `normalization` says otherwise, since the
 * scales of two networks' gradients have nothing to do with each other. Maps of the student that are zero everywhere are counted
 * ("zero maps").
 */
export function explanationLoss(b: NetworkBuilder, options: ExplanationLossOptions): Name {
  const { layer, form = 'squared' } = options;
  const normalization = form === 'cosine' ? 'l2' : (options.normalization ?? 'l2');
  const rank = b.dims(layer).length;
  const map = mapNodes(b, options);
  const student = normalized(b, map, rank, normalization);
  const teacher = normalized(b, fitted(b, options.teacher, layer), rank, normalization);
  b.fetch('zero maps', zeroMaps(b, map));
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const mean = (each: Name) => b.op('ReduceMean', [b.reduceSum(each, axes, 0)], { keepdims: 0 });
  if (form === 'cosine') return b.from(1, mean(b.mul(student, teacher)));
  return mean(b.square(b.sub(student, teacher)));
}
