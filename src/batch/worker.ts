import { type ExplanationsInit, openExplanations } from './explanations-service.js';
import { type FilesInit, openFiles } from './files-service.js';
import { serve } from './serve.js';

/** What a worker thread or process runs. */
serve((init: ExplanationsInit | FilesInit) =>
  init.kind === 'files' ? openFiles(init) : openExplanations(init),
);
