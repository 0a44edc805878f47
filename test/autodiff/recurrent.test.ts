import { recurrent } from './cases/recurrent.js';
import { describeCases } from './check.js';
describeCases('recurrent', recurrent);
