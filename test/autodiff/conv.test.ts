import { conv } from './cases/conv.js';
import { describeCases } from './check.js';
describeCases('conv', conv);
