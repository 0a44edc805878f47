import { parseTarget, type Target, targetKinds } from '../../targets/index.js';

/** Whether a target is spelled KIND:WHAT; else it is a class. */
export function isOfKind(text: string): boolean {
  return targetKinds.includes(text.split(':', 1)[0]);
}

/** A target as `explain` takes it; undefined: what fits the output. */
export function targetOf(text: string): Target | undefined {
  if (text === '') return undefined;
  return isOfKind(text) ? parseTarget(text) : text;
}

/** The class of a target and its rival, as the page sets them. */
export function contrastOf(text: string): { readonly own: string; readonly rival: string | undefined } {
  const found = /^contrast:(\d+):rivals=(\d+)$/.exec(text);
  return found ? { own: found[1], rival: found[2] } : { own: text, rival: undefined };
}
