import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalid } from '../check.js';
import { GradcamppError, messageOf } from '../errors.js';
import { readBytes, whyUnreadable } from '../files.js';
import { type Model, modelFrom } from './model.js';

/**
 * Reads an ONNX model and the external data beside it.
 *
 * @param source a path, a `file:` URL, or the bytes of a model without external data
 * @throws GradcamppError INVALID_MODEL naming the file and what is wrong with it
 */
export async function readModel(source: string | URL | Uint8Array): Promise<Model> {
  if (source instanceof Uint8Array)
    return modelFrom(source, 'model', async (location, tensor) => {
      throw new GradcamppError(
        'INVALID_MODEL',
        `The model keeps tensor "${tensor}" in a file "${location}", which bytes alone cannot name. Pass the model's path instead.`,
      );
    });
  if (typeof source !== 'string' && !(source instanceof URL))
    throw invalid('model', 'a path, a file: URL or bytes in a Uint8Array', source, '', 'INVALID_MODEL');
  const path = source instanceof URL ? urlPath(source) : source;
  const folder = new FilesBeside(path);
  return modelFrom(await bytesOf(path), path, (location) => folder.read(location));
}

/**
 * The files in which a model keeps tensors, by the names that it gives them.
 *
 * @throws GradcamppError INVALID_MODEL as reading it does
 */
export async function modelFiles(path: string): Promise<ReadonlyMap<string, string>> {
  const folder = new FilesBeside(path);
  await modelFrom(await bytesOf(path), path, (location) => folder.read(location));
  return folder.paths;
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readBytes(path);
  } catch (error) {
    throw new GradcamppError('INVALID_MODEL', `Cannot read model "${path}": ${whyUnreadable(error)}.`, {
      cause: error,
    });
  }
}

function urlPath(url: URL): string {
  if (url.protocol !== 'file:')
    throw new GradcamppError(
      'INVALID_MODEL',
      `"model" must be a path, a file: URL or bytes; received a ${url.protocol} URL. Fetch it first and pass the bytes.`,
    );
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new GradcamppError(
      'INVALID_MODEL',
      `"model" must be a URL of a file on this machine; received "${url.href}": ${messageOf(error)}.`,
      { cause: error },
    );
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** The files beside a model. One that is spelled in several ways is read once; none outside the folder is read. */
class FilesBeside {
  readonly #path: string;
  readonly #spellings = new Map<string, Uint8Array>();
  readonly #files = new Map<string, Uint8Array>();
  /** Those that were read, by the names that the model gives them. */
  readonly paths = new Map<string, string>();

  constructor(path: string) {
    this.#path = path;
  }

  async read(location: string): Promise<Uint8Array> {
    const known = this.#spellings.get(location);
    if (known) return known;
    const relative = normalize(location);
    if (location === '' || isAbsolute(relative) || relative.split(sep)[0] === '..')
      throw this.#outside(location);
    const path = join(dirname(this.#path), relative);
    try {
      const real = await realpath(path);
      if (!(await this.#isWithin(real))) throw this.#outside(location);
      const bytes = this.#files.get(real) ?? viewOf(await readBytes(real));
      this.#files.set(real, bytes);
      this.#spellings.set(location, bytes);
      this.paths.set(location, real);
      return bytes;
    } catch (error) {
      if (error instanceof GradcamppError) throw error;
      throw new GradcamppError(
        'INVALID_MODEL',
        `External data "${path}" of "${this.#path}" cannot be read: ${whyUnreadable(error)}.`,
        { cause: error },
      );
    }
  }

  /** In the folder where the model lies, or in that where it really lies: caches link both into one folder. */
  async #isWithin(real: string): Promise<boolean> {
    const folders = [await realpath(dirname(this.#path)), dirname(await realpath(this.#path))];
    return folders.some((folder) => real.startsWith(folder.endsWith(sep) ? folder : folder + sep));
  }

  #outside(location: string): GradcamppError {
    return new GradcamppError(
      'INVALID_MODEL',
      `"${this.#path}" keeps data in "${location}", outside its own folder; that is refused.`,
    );
  }
}
