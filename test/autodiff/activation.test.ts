import { activation } from './cases/activation.js';
import { describeCases } from './check.js';

describeCases('activation', activation);
