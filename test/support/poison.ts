/** The environment of processes that end where they open this picture, killed as for their memory. */
export function poisonedBy(picture: string): Readonly<Record<string, string>> {
  return { POISON: picture, NODE_OPTIONS: `--import ${new URL('poison.mjs', import.meta.url).href}` };
}
