import type { Name } from '../../graph/builder.js';
import { fitted, normalized } from '../maps.js';
import type { NetworkBuilder } from '../network-builder.js';

/** Where a layer is active, whatever the class: Σ_k A_k², [N, 1, …spatial]. */
export function attentionNodes(b: NetworkBuilder, layer: Name): Name {
  return b.reduceSum(b.square(layer), [1]);
}

/**
 * Attention transfer, Zagoruyko and Komodakis, arXiv 1612.03928, Eq. 2 with Q = Σ_k A_k² and p = 2: the mean over pictures of
 * ‖Q_s/‖Q_s‖₂ − Q_t/‖Q_t‖₂‖². Where we differ: the square of the norm, as the authors' code has it, without the factor ½.
 *
 * @param layer the student's, [N, K, …]
 * @param teacher Σ_k A_k² of the teacher's layer, [N, 1, …]
 */
export function attentionTransfer(b: NetworkBuilder, layer: Name, teacher: Name): Name {
  const rank = b.dims(layer).length;
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const student = normalized(b, attentionNodes(b, layer), rank, 'l2');
  const difference = b.sub(student, normalized(b, fitted(b, teacher, layer), rank, 'l2'));
  return b.op('ReduceMean', [b.reduceSum(b.square(difference), axes, 0)], { keepdims: 0 });
}
