import { norm } from './cases/norm.js';
import { describeCases } from './check.js';

describeCases('norm', norm);
