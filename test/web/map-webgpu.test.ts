import { wgsl } from '../map/tolerance.js';
import { describeBackend } from '../map/suite.js';
import { openInPage } from './page-backend.js';

await describeBackend('webgpu', () => openInPage('webgpu'), wgsl);
