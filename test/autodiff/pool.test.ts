import { pool } from './cases/pool.js';
import { describeCases } from './check.js';
describeCases('pool', pool);
