import { isMainThread } from 'node:worker_threads';

export { openNative } from './native.js';

/** Whether `auto` may open a GPU: workers would each open one. */
export const mayOpenGpu = isMainThread;

/** Said once a process. */
export function warnOfMissing(message: string): void {
  process.emitWarning(message, { code: 'GRADCAMPP_NO_ADDON' });
}
