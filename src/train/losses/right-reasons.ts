import type { Name } from '../../graph/builder.js';
import { fitted, type MapOptions, mapNodes, normalized, zeroMaps } from '../maps.js';
import type { NetworkBuilder } from '../network-builder.js';

export interface RightReasonsOptions extends MapOptions {
  /** Where the network may look: 1 inside the boxes or masks, 0 outside, [N, 1, …]; brought to the size of the layer. */
  readonly allowed: Name;
}

/**
 * Right for the right reasons (Ross et al., arXiv 1703.03717): a penalty on explanations of the true class outside of what is
 * given, the mean over pictures of the share Σ_outside L² / ΣL², 0…1. Where we differ: the paper penalises the gradient by the
 * input; this is the map of a layer, for which boxes are fine enough. Pictures whose boxes are not known: `allowed` 1
 * everywhere. Maps that are zero everywhere are counted ("zero maps").
 */
export function rightReasons(b: NetworkBuilder, options: RightReasonsOptions): Name {
  const { layer } = options;
  const rank = b.dims(layer).length;
  const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const map = mapNodes(b, options);
  b.fetch('zero maps', zeroMaps(b, map, options.labels));
  const outside = b.mul(normalized(b, map, rank, 'l2'), b.from(1, fitted(b, options.allowed, layer)));
  return b.op('ReduceMean', [b.reduceSum(b.square(outside), axes, 0)], { keepdims: 0 });
}
