// What tests need of the inside of the package, bundled for a page: see page-backend.ts.
export { openReference } from '../../dist/map/reference.js';
export { openWebgpu } from '../../dist/map/webgpu.js';
