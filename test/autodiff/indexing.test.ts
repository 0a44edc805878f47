import { indexing } from './cases/indexing.js';
import { describeCases } from './check.js';
describeCases('indexing', indexing);
