import { resize } from './cases/resize.js';
import { describeCases } from './check.js';
describeCases('resize', resize);
