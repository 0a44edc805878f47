// What tests need of the inside of the package, bundled for a page: see bundle-inside.ts.
export { NetworkExplainer } from '../../dist/explain/network-explainer.js';
export { parseNpy } from '../../dist/image/npy.js';
export { openReference } from '../../dist/map/reference.js';
export { openWebgpu } from '../../dist/map/webgpu.js';
export { useRuntime } from '../../dist/runtime/onnxruntime.web.js';
