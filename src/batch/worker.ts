import { type ExplanationsInit, openExplanations } from './workers/explanations-service.js';
import { type FilesInit, openFiles } from './workers/files-service.js';
import { serve } from './workers/serve.js';

/** What a worker thread or process runs. */
serve((init: ExplanationsInit | FilesInit) =>
  init.kind === 'files' ? openFiles(init) : openExplanations(init),
);
