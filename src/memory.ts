import * as threads from 'node:worker_threads';

/** A port that leads nowhere. (What is sent before the closing has gone through is kept for ever: hence at import.) */
function closedPort(): threads.MessagePort {
  const { port1, port2 } = new threads.MessageChannel();
  port1.close();
  return port2;
}
const nowhere = closedPort();

/** A buffer that nobody cleared, for what will be written over in any case. */
export function uninitialized(bytes: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(bytes).buffer as ArrayBuffer;
}

/**
 * Whether a buffer can be handed to another thread. Those of native modules, as sharp's, cannot: Node.js 20 copies them, later
 * versions refuse a message that would hand one over.
 */
function isTransferable(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  const { isMarkedAsUntransferable } = threads as { isMarkedAsUntransferable?: (value: object) => boolean };
  return buffer instanceof ArrayBuffer && !isMarkedAsUntransferable?.(buffer);
}

/** The buffer of an array that is the whole of it, and can be handed over. */
export function ownBuffer(array: ArrayBufferView): ArrayBuffer | undefined {
  const { buffer, byteLength } = array;
  return byteLength === buffer.byteLength && isTransferable(buffer) ? buffer : undefined;
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
    const buffer = ownBuffer(array);
    if (buffer) buffers.add(buffer);
  }
  try {
    nowhere.postMessage(undefined, [...buffers]);
  } catch (error) {
    if ((error as Error).name !== 'DataCloneError') throw error;
  }
}
