import { openWebgpu } from '../../src/map/webgpu.js';
import { describeBackend } from './suite.js';
import { wgsl } from './tolerance.js';

// The kernel without subgroup operations.
await describeBackend('webgpu', () => openWebgpu({ subgroups: false }), wgsl);
