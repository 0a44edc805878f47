/**
 * A module of dist/, which `npm test` builds first: what starts workers finds them beside itself, as compiled files.
 * Typed by its source.
 */
export function built<T>(path: string): Promise<T> {
  return import(new URL(`../../dist/${path}`, import.meta.url).href) as Promise<T>;
}
