import { shape } from './cases/shape.js';
import { describeCases } from './check.js';
describeCases('shape', shape);
