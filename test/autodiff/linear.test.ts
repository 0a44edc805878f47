import { linear } from './cases/linear.js';
import { describeCases } from './check.js';

describeCases('linear', linear);
