import { GradcamppError, messageOf } from '../errors.js';

type Sharp = typeof import('sharp').default;

/** sharp, or the sentence that says how to get it. `need` begins it: what it is wanted for. */
export async function requireSharp(load: (() => Promise<unknown>) | undefined, need: string): Promise<Sharp> {
  try {
    const loaded = (await (load ? load() : import('sharp'))) as { default?: Sharp };
    return loaded.default ?? (loaded as Sharp);
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException | undefined)?.code?.endsWith('MODULE_NOT_FOUND');
    const state = missing ? 'which is not installed' : `which does not load (${messageOf(cause)})`;
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${need} with the optional package sharp, ${state}: npm install sharp`,
      { cause },
    );
  }
}
