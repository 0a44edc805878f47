import { attention, rotary } from './cases/attention.js';
import { describeCases } from './check.js';

describeCases('attention', [...attention, ...rotary]);
