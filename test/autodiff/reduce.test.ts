import { reduce } from './cases/reduce.js';
import { describeCases } from './check.js';

describeCases('reduce', reduce);
