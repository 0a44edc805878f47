import { invalid } from '../check.js';
import { GradcamppError, messageOf } from '../errors.js';

/** A file as a page has it: an address, a Blob (a dropped File is one), or its bytes. */
export type PageFile = string | URL | Blob | Uint8Array | ArrayBuffer;

/** How far a file is downloaded, in bytes; `total` is undefined where the server does not say it. */
export interface DownloadProgress {
  readonly file: string;
  readonly loaded: number;
  readonly total: number | undefined;
}

export interface DownloadOptions {
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
}

/** What messages call a file. */
export function nameOf(file: PageFile): string {
  if (typeof file === 'string' || file instanceof URL) return String(file);
  return file instanceof Blob && 'name' in file ? String(file.name) : 'model';
}

/**
 * The bytes of a file, a piece at a time where it comes from the network.
 *
 * @param what the option that names it
 * @throws GradcamppError INVALID_MODEL where it cannot be had; the signal's reason
 */
export async function bytesOf(
  file: PageFile,
  what: string,
  { onProgress, signal }: DownloadOptions = {},
): Promise<Uint8Array> {
  signal?.throwIfAborted();
  if (file instanceof Uint8Array) return file;
  if (file instanceof ArrayBuffer) return new Uint8Array(file);
  const name = nameOf(file);
  if (file instanceof Blob) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    onProgress?.({ file: name, loaded: bytes.byteLength, total: bytes.byteLength });
    return bytes;
  }
  if (typeof file !== 'string' && !(file instanceof URL))
    throw invalid(what, 'a URL, a Blob or bytes', file, '', 'INVALID_MODEL');
  let response: Response;
  try {
    response = await fetch(file, { signal });
  } catch (cause) {
    throw signal?.aborted
      ? signal.reason
      : refused(name, `it cannot be fetched (${messageOf(cause)})`, cause);
  }
  if (!response.ok) throw refused(name, `the server says ${response.status} ${response.statusText}`.trim());
  try {
    return await bodyOf(response, (loaded, total) => onProgress?.({ file: name, loaded, total }));
  } catch (cause) {
    throw signal?.aborted
      ? signal.reason
      : refused(name, `the download broke off (${messageOf(cause)})`, cause);
  }
}

/** Files in which a model keeps tensors, by the names that it gives them. */
export async function filesOf(
  externalData: Readonly<Record<string, PageFile>>,
  download: DownloadOptions,
): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [name, file] of Object.entries(externalData))
    files.set(name, await bytesOf(file, `externalData.${name}`, download));
  return files;
}

function refused(name: string, reason: string, cause?: unknown): GradcamppError {
  return new GradcamppError('INVALID_MODEL', `Cannot read model "${name}": ${reason}.`, { cause });
}

/** Read into memory of the size that the server says, or into pieces; an encoded body is larger than what is said. */
async function bodyOf(
  response: Response,
  onProgress: (loaded: number, total: number | undefined) => void,
): Promise<Uint8Array> {
  const said = Number(response.headers.get('content-length') ?? Number.NaN);
  const total = Number.isFinite(said) && !response.headers.get('content-encoding') ? said : undefined;
  if (!response.body) return new Uint8Array(await response.arrayBuffer());
  const pieces: Uint8Array[] = [];
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    loaded += value.byteLength;
    onProgress(loaded, total);
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}
