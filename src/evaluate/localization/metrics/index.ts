import type { LocalizationMetric, LocalizationSettings } from '../place.js';
import { boxFound, boxIoU } from './box-iou.js';
import { energy } from './energy.js';
import { loc } from './loc.js';
import { pointingGame } from './pointing-game.js';
import { rankAccuracy } from './rank-accuracy.js';

/** Every metric, in the order of the report. */
export function localizationMetrics({
  deltas,
  tolerance,
  boxThreshold,
}: Pick<LocalizationSettings, 'deltas' | 'tolerance' | 'boxThreshold'>): LocalizationMetric[] {
  return [
    ...deltas.map(loc),
    boxIoU(boxThreshold),
    boxFound(boxThreshold),
    pointingGame(tolerance),
    energy,
    rankAccuracy,
  ];
}
