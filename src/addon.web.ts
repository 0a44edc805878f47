/** A page has no addon; see addon.ts. */
export function loadAddon(): { problems: string[] } {
  return { problems: ['a page has none'] };
}
