import { openWebgpu } from '../../src/map/webgpu.js';
import { describeBackend } from './suite.js';
import { wgsl } from './tolerance.js';

await describeBackend('webgpu', () => openWebgpu(), wgsl);
