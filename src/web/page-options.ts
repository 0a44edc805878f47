import { invalid } from '../check.js';
import type { RuntimeSource } from '../runtime/onnxruntime.web.js';
import type { DownloadOptions, DownloadProgress, PageFile } from './download.js';

/** What is opened in a page, beside what it takes in Node. */
export interface PageOptions {
  /** Files in which models keep tensors, by the names that they give them. */
  readonly externalData?: Readonly<Record<string, PageFile>>;
  /**
   * onnxruntime-web, where no bundler finds it: the address of its module (`ort.wasm.bundle.min.mjs`,
   * `ort.webgpu.bundle.min.mjs`), and where its WebAssembly lies, if not beside it.
   */
  readonly runtime?:
    | string
    | URL
    | {
        readonly module?: string | URL;
        readonly wasmPaths?: string | { readonly wasm?: string; readonly mjs?: string };
      };
  /**
   * Whether the network runs in a worker of its own (default), or in the page's thread, which then answers nothing else
   * meanwhile. A function makes the worker, where a bundler does not: of the module `gradcampp/web/worker`.
   */
  readonly worker?: boolean | (() => Worker);
  /** Told how far models and their external data are downloaded. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Ends the opening, downloads included, with the signal's reason. */
  readonly signal?: AbortSignal;
}

export const pageKeys = ['externalData', 'runtime', 'worker', 'onProgress', 'signal'] as const;

/** Where files lie, as a worker can be told. */
export interface Places {
  readonly externalData: Readonly<Record<string, PageFile>>;
  readonly runtime: Omit<RuntimeSource, 'provider'>;
}

/**
 * A page's own options apart from those of Node, checked.
 *
 * @throws GradcamppError INVALID_OPTION; the signal's reason
 */
export function pageParts<T extends PageOptions>(options: T) {
  const { externalData = {}, runtime = {}, worker = true, onProgress, signal, ...rest } = options;
  signal?.throwIfAborted();
  if (worker !== false && worker !== true && typeof worker !== 'function')
    throw invalid('worker', 'true, false or a function that makes a Worker', worker);
  const { module, wasmPaths } =
    typeof runtime === 'string' || runtime instanceof URL
      ? { module: runtime, wasmPaths: undefined }
      : runtime;
  const places: Places = {
    externalData: Object.fromEntries(
      Object.entries(externalData).map(([name, file]) => [name, absolute(file)]),
    ),
    runtime: {
      ...(module === undefined ? {} : { module: absolute(module) as string }),
      ...(wasmPaths === undefined
        ? {}
        : { wasmPaths: typeof wasmPaths === 'string' ? (absolute(wasmPaths) as string) : wasmPaths }),
    },
  };
  const download: DownloadOptions = { onProgress, signal };
  return { rest, worker, places, download };
}

/** Addresses are relative to the page, and not to the worker. */
export function absolute<T extends PageFile>(file: T): T | string {
  return typeof file === 'string' || file instanceof URL ? new URL(file, base()).href : file;
}

function base(): string {
  return globalThis.document?.baseURI ?? globalThis.location.href;
}

/** A sidecar's address; or a sidecar, whose files lie beside the page. */
export function preprocessOf(given: string | object | undefined): string | object | undefined {
  if (typeof given === 'string') return absolute(given);
  const { classes } = Object(given) as { classes?: unknown };
  return typeof classes === 'string' ? { ...given, classes: absolute(classes) } : given;
}

/** Rejects once it is aborted, with the signal's reason. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
