import { readFile } from 'node:fs/promises';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]);
}

/** Already HTML: `html` leaves it as it is. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | Html | undefined | readonly Part[];

/** A template whose values are escaped; lists are joined, undefined is nothing. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(strings.map((string, i) => string + (i < parts.length ? textOf(parts[i]) : '')).join(''));
}

function textOf(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(textOf).join('');
  return escapeHtml(String(part));
}

/** JSON inside a script element: no `<` that could end it, and no line separators. */
export function jsonScript(id: string, value: unknown): Html {
  const json = JSON.stringify(value).replaceAll('<', '\\u003c');
  return new Html(`<script type="application/json" id="${id}">${json}</script>`);
}

/**
 * The shell of a page: styles and script inline, and a policy that forbids every request but for pictures from `images`, so
 * that the page works from a disk and nothing leaves it.
 *
 * @param assets style sheets of `assets/`, each on top of those before it; beside the last one is the script
 * @param images sources of pictures, as a content security policy names them; default: those in the page itself
 */
export async function page(
  title: string,
  assets: readonly string[],
  body: Html,
  images = 'data:',
): Promise<string> {
  const read = (name: string): Promise<string> =>
    readFile(new URL(`../assets/${name}`, import.meta.url), 'utf8');
  const styles = await Promise.all(['report/base', ...assets].map((name) => read(`${name}.css`)));
  const script = await read(`${assets[assets.length - 1]}.js`);
  const policy = `default-src 'none'; img-src ${images}; media-src ${images}; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>
${new Html(styles.join(''))}</style>
</head>
<body>
${body}
<script>
${new Html(script)}</script>
</body>
</html>
`.text;
}
