import { serve } from '../batch/workers/serve.js';
import { loadingService } from './data/loader.js';

/** What a thread that makes views runs. */
serve(loadingService);
