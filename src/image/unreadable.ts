import { GradcamppError } from '../errors.js';

/** What a picture without a name is called. */
export const unnamed = 'The picture';

/** A name as it begins a sentence. */
export function quoted(name: string): string {
  return name === unnamed ? name : JSON.stringify(name);
}

/** `"name" cannot be read as a picture: <reason>.`, on one line whatever the reason was. */
export function unreadable(name: string, reason: string, cause?: unknown): GradcamppError {
  const text = reason.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '');
  return new GradcamppError('INVALID_IMAGE', `${quoted(name)} cannot be read as a picture: ${text}.`, {
    cause,
  });
}

/** The sentence for a picture of more pixels than the limit. */
export function tooLarge(name: string, width: number, height: number, maxPixels: number): GradcamppError {
  const found = `it has ${width} × ${height} pixels, and the limit maxPixels is ${maxPixels}`;
  return unreadable(name, `${found}; make it smaller first`);
}
