import { cpu } from '../map/tolerance.js';
import { describeBackend } from '../map/suite.js';
import { openInPage } from './page-backend.js';

await describeBackend('reference', () => openInPage('reference'), cpu);
