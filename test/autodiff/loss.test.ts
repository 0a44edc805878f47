import { loss } from './cases/loss.js';
import { describeCases } from './check.js';

describeCases('loss', loss);
