import { openReference } from '../../src/map/reference.js';
import { describeBackend } from './suite.js';
import { cpu } from './tolerance.js';

await describeBackend('reference', async () => openReference(), cpu);
