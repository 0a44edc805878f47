import type Sharp from 'sharp';
import { GradcamppError, messageOf } from '../errors.js';

let loading: Promise<typeof Sharp> | undefined;

/**
 * sharp, which reads and writes pictures, loaded at the first call.
 *
 * @throws GradcamppError RUNTIME where its binary for this platform is missing
 */
export function loadSharp(): Promise<typeof Sharp> {
  loading ??= import('sharp').then(
    (module) => module.default,
    (cause) => {
      throw new GradcamppError(
        'RUNTIME',
        `The package sharp, which reads and writes pictures, does not load (${messageOf(cause)}). Install it for this platform: npm install --include=optional sharp`,
        { cause },
      );
    },
  );
  return loading;
}
