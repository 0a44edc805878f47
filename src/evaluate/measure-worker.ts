import { serve } from '../batch/workers/serve.js';
import { type MeasurerInit, measuringService } from './measurer.js';
import { openSubject } from './open.js';

/** What a worker thread or process of an evaluation runs. */
serve(async ({ model, open }: MeasurerInit) => measuringService(await openSubject(model, open)));
