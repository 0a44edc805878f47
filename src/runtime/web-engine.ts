import type * as ort from 'onnxruntime-web';
import type { Engine, EngineOptions } from './engine.js';
import { providersFor, sessionOf } from './ort-session.js';

/** What an engine on onnxruntime-web is made of. */
export interface WebRuntime {
  readonly runtime: typeof ort;
  readonly providers: readonly string[];
  /** Ends the time in which the GPU's work is waited for, where that needs a hand. */
  readonly whatProvidersNeed: string;
  /** What runs around each of its calls. */
  readonly during?: <T>(work: () => Promise<T>) => Promise<T>;
}

/** onnxruntime-web, in a page or on a GPU in Node.js. */
export function webEngine({
  runtime,
  providers,
  whatProvidersNeed,
  during = (work) => work(),
}: WebRuntime): Engine {
  return {
    providers,
    provider: 'wasm',
    open: async (model, externalData, options) => {
      const files = externalData.map(({ path, data }) => ({ path, data: data as Uint8Array<ArrayBuffer> }));
      const session = await during(() =>
        runtime.InferenceSession.create(model, { ...optionsOf(options), externalData: files }),
      );
      const { outputs, run, close } = sessionOf(runtime, session);
      return { outputs, run: (feeds) => during(() => run(feeds)), close: () => during(close) };
    },
    isOfProvider: (message) => /no available backend|webgpu/i.test(message),
    whatProvidersNeed,
    ...(providers.includes('webgpu')
      ? { device: async () => (await runtime.env.webgpu.device) as unknown as GPUDevice }
      : {}),
  };
}

function optionsOf({
  providers,
  level,
  arena,
  keepsQuantized,
  withoutFusion,
  held = [],
}: EngineOptions): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: providersFor(providers),
    graphOptimizationLevel: level,
    logSeverityLevel: 4,
    enableCpuMemArena: arena,
    ...(held.length > 0
      ? { preferredOutputLocation: Object.fromEntries(held.map((name) => [name, 'gpu-buffer' as const])) }
      : {}),
    extra: {
      session: keepsQuantized ? { disable_quant_qdq: '1' } : {},
      ...(withoutFusion ? { optimization: { disable_specified_optimizers: withoutFusion } } : {}),
    },
  };
}
