import type * as ort from 'onnxruntime-web';
import { GradcamppError, messageOf } from '../errors.js';
import type { Engine } from './engine.js';
import { webEngine } from './web-engine.js';

export type Runtime = typeof ort;

/** Where ONNX Runtime comes from in a page. */
export interface RuntimeSource {
  /** The address of its module; default: onnxruntime-web as it is installed, by the page's bundler. */
  readonly module?: string;
  /** The folder or the addresses of its WebAssembly; default: beside its module. */
  readonly wasmPaths?: string | { readonly wasm?: string; readonly mjs?: string };
  /** Which of the two is used where nothing is named. */
  readonly provider: WebProvider;
}

export const webProviders = ['wasm', 'webgpu'] as const;
export type WebProvider = (typeof webProviders)[number];

let source: RuntimeSource = { provider: 'wasm' };
let engine: Promise<Engine> | undefined;

/** Says where ONNX Runtime comes from, before the first session is opened. */
export function useRuntime(own: RuntimeSource): void {
  source = own;
}

/** onnxruntime-web, loaded when the first session is opened; see onnxruntime.ts. */
export function loadEngine(_provider?: string): Promise<Engine> {
  engine ??= load(source).catch((cause: unknown) => {
    engine = undefined;
    throw new GradcamppError(
      'RUNTIME',
      `onnxruntime-web${source.module ? ` at ${JSON.stringify(source.module)}` : ''} does not load: ${messageOf(cause)}. Install it, or name its module as "runtime".`,
      { cause },
    );
  });
  return engine;
}

async function load({ module, wasmPaths, provider }: RuntimeSource): Promise<Engine> {
  const runtime: Runtime = await (module !== undefined
    ? import(/* webpackIgnore: true */ /* @vite-ignore */ module)
    : provider === 'webgpu'
      ? import('onnxruntime-web/webgpu')
      : import('onnxruntime-web/wasm'));
  if (runtime.env.logLevel === 'warning' || runtime.env.logLevel === undefined)
    runtime.env.logLevel = 'fatal'; // what fails is thrown
  if (wasmPaths !== undefined) runtime.env.wasm.wasmPaths = wasmPaths;
  if (!globalThis.crossOriginIsolated) runtime.env.wasm.numThreads = 1;
  return webEngine({
    runtime,
    providers: webProviders,
    whatProvidersNeed:
      '"webgpu" needs a browser that has WebGPU and a page from https: or localhost; "wasm" works everywhere.',
  });
}
