import { GradcamppError } from '../errors.js';
import type { MapBackend } from './backend.js';

/** In a page: see platform.ts. */
export async function openNative(_options?: object): Promise<MapBackend> {
  throw new GradcamppError(
    'UNSUPPORTED_BACKEND',
    'The backend "native" is an addon of Node.js, and a page has none: choose "webgpu" or "reference".',
  );
}

export const mayOpenGpu = true;

export function warnOfMissing(_message: string): void {} // nothing is missing
