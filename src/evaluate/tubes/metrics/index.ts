import type { TubeMetric } from '../tube-place.js';
import { energyInSpace } from './energy-in-space.js';
import { energyInTime } from './energy-in-time.js';
import { energyInTube } from './energy-in-tube.js';
import { pointingInTube } from './pointing-in-tube.js';

/** Every metric, in the order of the report. */
export const tubeMetrics: readonly TubeMetric[] = [energyInTube, energyInSpace, energyInTime, pointingInTube];
