import { MessageChannel, type MessagePort } from 'node:worker_threads';

/** A port that leads nowhere. (What is sent before the closing has gone through is kept for ever: hence at import.) */
function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.close();
  return port2;
}
const nowhere = closedPort();

/** A buffer that nobody cleared, for what will be written over in any case. */
export function uninitialized(bytes: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

/**
 * Frees the memory of arrays that nobody will read again, at once: they become empty. Otherwise it waits for the garbage
 * collector, which large arrays call far more often than their few objects need. Arrays that are a part of a larger
 * buffer, or cannot be given away, are left alone.
 */
export function release(arrays: Iterable<unknown>): void {
  const buffers = new Set<ArrayBuffer>();
  for (const array of arrays) {
    if (!ArrayBuffer.isView(array) || array.byteLength === 0) continue;
    const { buffer, byteLength } = array;
    if (buffer instanceof ArrayBuffer && byteLength === buffer.byteLength) buffers.add(buffer);
  }
  try {
    nowhere.postMessage(undefined, [...buffers]);
  } catch (error) {
    if ((error as Error).name !== 'DataCloneError') throw error;
  }
}
