import type * as ort from 'onnxruntime-web';
import { inTurn } from '../in-turn.js';
import type { Engine, EngineOptions } from './engine.js';
import { providersFor, sessionOf } from './ort-session.js';

type Providers = readonly ort.InferenceSession.ExecutionProviderConfig[];

/** What an engine on onnxruntime-web is made of. */
export interface WebRuntime {
  readonly runtime: typeof ort;
  readonly providers: readonly string[];
  readonly whatProvidersNeed: string;
  /** Execution providers as a session takes them; default: as both builds do. */
  readonly executionProviders?: (options: EngineOptions) => Promise<Providers>;
  /** What runs around each of its calls. */
  readonly during?: <T>(work: () => Promise<T>) => Promise<T>;
  /** The GPU's device that sessions share; default: ONNX Runtime's own. */
  readonly device?: () => Promise<GPUDevice>;
}

/** onnxruntime-web, in a page or on a GPU in Node.js. */
export function webEngine({
  runtime,
  providers,
  whatProvidersNeed,
  executionProviders = async (options) => providersFor(options.providers),
  during = (work) => work(),
  device = async () => (await runtime.env.webgpu.device) as unknown as GPUDevice,
}: WebRuntime): Engine {
  const turn = inTurn(); // WebAssembly that waits for the GPU cannot be called meanwhile
  const call = <T>(work: () => Promise<T>) => turn(() => during(work));
  return {
    providers,
    provider: 'wasm',
    open: async (model, externalData, options) => {
      const files = externalData.map(({ path, data }) => ({ path, data: data as Uint8Array<ArrayBuffer> }));
      const own = {
        ...optionsOf(options),
        executionProviders: await executionProviders(options),
        externalData: files,
      };
      const session = await call(() => runtime.InferenceSession.create(model, own));
      const { outputs, run, close } = sessionOf(runtime, session);
      return { outputs, run: (feeds) => call(() => run(feeds)), close: () => call(close) };
    },
    isOfProvider: (message) => /no available backend|webgpu/i.test(message),
    whatProvidersNeed,
    ...(providers.includes('webgpu') ? { device } : {}),
  };
}

function optionsOf({
  level,
  arena,
  keepsQuantized,
  withoutFusion,
  held = [],
}: EngineOptions): ort.InferenceSession.SessionOptions {
  return {
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
