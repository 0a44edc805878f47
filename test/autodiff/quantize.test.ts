import { quantize } from './cases/quantize.js';
import { describeCases } from './check.js';
describeCases('quantize', quantize);
