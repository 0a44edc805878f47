import { GradcamppError } from '../errors.js';

/** `"name" cannot be read as a picture: <reason>.`, on one line whatever the reason was. */
export function unreadable(name: string, reason: string, cause?: unknown): GradcamppError {
  const text = reason.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '');
  return new GradcamppError(
    'INVALID_IMAGE',
    `${JSON.stringify(name)} cannot be read as a picture: ${text}.`,
    {
      cause,
    },
  );
}

/** The sentence for a picture of more pixels than the limit. */
export function tooLarge(name: string, width: number, height: number, maxPixels: number): GradcamppError {
  return unreadable(name, `it has ${width} × ${height} pixels, and the limit maxPixels is ${maxPixels}`);
}
