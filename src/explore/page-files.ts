import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder into which `npm run build` puts the page. */
const folder = fileURLToPath(new URL('../bundled/explore/', import.meta.url));

/** The built page: paths by address, relative to the page. */
export function pageFiles(): Map<string, string> {
  return new Map(readdirSync(folder).map((name) => [name, join(folder, name)]));
}

/** The page's own policy, as a header says it too: what it may ask of which site. */
export async function policy(): Promise<string> {
  const html = await readFile(join(folder, 'index.html'), 'utf8');
  return /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)?.[1] as string;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.avif': 'image/avif',
};

/** The type of what lies at an address: nobody guesses another. SVG among the named files is no picture that is read. */
export function typeOf(address: string): string {
  return types[extname(address).toLowerCase()] ?? 'application/octet-stream';
}
