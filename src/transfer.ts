import { ownBuffer } from './memory.js';

/** The buffers of a result that are wholly its own, each once: what can be handed over instead of copied. */
export function ownBuffers(value: unknown, found: Set<ArrayBuffer> = new Set()): Set<ArrayBuffer> {
  if (ArrayBuffer.isView(value)) {
    const buffer = ownBuffer(value);
    if (buffer) found.add(buffer);
  } else if (value !== null && typeof value === 'object') {
    for (const part of Object.values(value)) ownBuffers(part, found);
  }
  return found;
}
