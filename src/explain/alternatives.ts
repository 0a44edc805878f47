import { GradcamppError } from '../errors.js';
import { gradientFreeMethods } from '../methods/index.js';

/** What cannot be differentiated, with the methods that explain it without. */
export function withAlternatives(error: unknown): unknown {
  if (!(error instanceof GradcamppError) || error.code !== 'UNSUPPORTED_MODEL') return error;
  return new GradcamppError(
    error.code,
    `${error.message} Choose a layer behind it, or a method that needs no gradient: ${gradientFreeMethods.join(', ')}.`,
    { cause: error },
  );
}
