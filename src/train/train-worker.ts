import { serve } from '../batch/workers/serve.js';
import { trainingService } from './run/training-service.js';

/** What a process that trains runs. */
serve(trainingService);
