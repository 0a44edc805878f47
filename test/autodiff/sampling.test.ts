import { sampling } from './cases/sampling.js';
import { describeCases } from './check.js';
describeCases('sampling', sampling);
