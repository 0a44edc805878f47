import { decodeText } from './decode-text.js';
import { messageOf } from './errors.js';

/** In a page files are what lies at a URL, and are fetched; see files.ts. */
export async function readBytes(url: string, limit = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the server says ${response.status} ${response.statusText}`.trim());
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.byteLength > limit) throw new Error(`it is larger than ${limit / 2 ** 20} MiB`);
  return bytes;
}

export async function readText(url: string): Promise<string> {
  return decodeText(await readBytes(url));
}

export function whyUnreadable(cause: unknown): string {
  return cause instanceof TypeError ? 'it cannot be fetched' : messageOf(cause);
}

/** What is at an address relative to another; what has no address lies beside the page. */
export function besideFile(url: string, name: string): string {
  return new URL(name, new URL(url, globalThis.location?.href)).href;
}
