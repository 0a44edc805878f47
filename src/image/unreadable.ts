import { GradcamppError } from '../errors.js';

/** What a picture without a name is called. */
export const unnamed = 'The picture';

/** A name as it begins a sentence. */
function quoted(name: string): string {
  return name === unnamed ? name : JSON.stringify(name);
}

/** `"name" cannot be read as a picture (or `what`): <reason>.`, on one line whatever the reason was. */
export function unreadable(
  name: string,
  reason: string,
  cause?: unknown,
  what = 'a picture',
): GradcamppError {
  const text = reason.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '');
  return new GradcamppError('INVALID_IMAGE', `${quoted(name)} cannot be read as ${what}: ${text}.`, {
    cause,
  });
}
