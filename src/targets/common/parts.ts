/**
 * `WHAT:key=value:key=value`, as `--target` takes it, apart. What begins with no key that is known belongs to what is before
 * it, so that classes and paths may hold colons.
 */
export function partsOf<K extends string>(
  text: string,
  keys: readonly K[],
): { readonly what: string } & { readonly [key in K]?: string } {
  const found: Record<string, string> = { what: '' };
  let last = 'what';
  for (const [i, part] of text.split(':').entries()) {
    const key = keys.find((item) => part.startsWith(`${item}=`));
    if (key !== undefined) {
      last = key;
      found[key] = part.slice(key.length + 1);
    } else found[last] += i === 0 ? part : `:${part}`;
  }
  return found as { readonly what: string } & { readonly [key in K]?: string };
}

/** A class as it is typed: what is a whole number is an index. */
export function typedClass(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text;
}
