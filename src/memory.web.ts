/** In a page: see memory.ts. */
export function uninitialized(bytes: number): ArrayBuffer {
  return new ArrayBuffer(bytes);
}

/** The buffer of an array that is the whole of it, and can be handed over. */
export function ownBuffer({ buffer, byteLength }: ArrayBufferView): ArrayBuffer | undefined {
  return byteLength === buffer.byteLength && buffer instanceof ArrayBuffer ? buffer : undefined;
}

/** Frees the memory of arrays that nobody will read again; they become empty. */
export function release(arrays: Iterable<unknown>): void {
  const buffers = new Set<ArrayBuffer>();
  for (const array of arrays) {
    const buffer = ArrayBuffer.isView(array) && array.byteLength > 0 ? ownBuffer(array) : undefined;
    if (buffer) buffers.add(buffer);
  }
  structuredClone(undefined, { transfer: [...buffers] });
}
