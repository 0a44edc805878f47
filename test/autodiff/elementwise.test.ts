import { elementwise } from './cases/elementwise.js';
import { describeCases } from './check.js';

describeCases('elementwise', elementwise);
