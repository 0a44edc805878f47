import { open } from 'node:fs/promises';

/** Writes segments one after the other. */
export async function writeSegments(path: string, segments: readonly Uint8Array[]): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let i = 0; i < segments.length; i += 256) await file.writev(segments.slice(i, i + 256));
  } finally {
    await file.close();
  }
}
