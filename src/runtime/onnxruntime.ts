import type * as ort from 'onnxruntime-node';
import { disableTelemetry } from '../telemetry.js';
import type { Engine, EngineOptions } from './engine.js';
import { providersFor, sessionOf } from './ort-session.js';

let gpuEngine: Promise<Engine | undefined> | undefined;

/**
 * ONNX Runtime, loaded when the first session is opened: its library takes longer than all the rest. For the GPU onnxruntime-web,
 * where it is installed.
 *
 * @param provider the execution provider that is to run what it can
 */
export async function loadEngine(provider?: string): Promise<Engine> {
  disableTelemetry();
  if (provider === 'webgpu') {
    gpuEngine ??= import('./gpu-engine.js').then(({ loadGpuEngine }) => loadGpuEngine());
    const engine = await gpuEngine;
    if (engine) return engine;
  }
  const runtime = await import('onnxruntime-node');
  if (runtime.env.logLevel === 'warning') runtime.env.logLevel = 'fatal'; // what fails is thrown; the rest is for its makers
  return {
    providers: runtime.listSupportedBackends().map(({ name }) => name),
    provider: 'cpu',
    open: async (model, externalData, options) =>
      sessionOf(
        runtime,
        await runtime.InferenceSession.create(model, { ...optionsOf(options), externalData }),
      ),
    isOfProvider: (message) => /ExecutionProvider_|\/providers\/(?!cpu)/.test(message),
    whatProvidersNeed:
      'It needs its device, its driver\'s libraries and an onnxruntime-node that was built with it; "cpu" works everywhere.',
    ...(provider === 'webgpu' ? { describe: async () => withoutWeb } : {}),
  };
}

const withoutWeb =
  'The network runs on the provider webgpu of onnxruntime-node, which copies what maps are made of from the GPU: install onnxruntime-web@~1.30.0, and it stays there.';

function optionsOf({
  providers,
  threads,
  level,
  optimizedModelFilePath,
  arena,
  keepsQuantized,
  withoutFusion,
}: EngineOptions): ort.InferenceSession.SessionOptions {
  return {
    executionProviders: providersFor(providers),
    graphOptimizationLevel: level,
    logSeverityLevel: 4, // what fails is thrown, in ONNX Runtime's words
    enableCpuMemArena: arena,
    ...(threads ? { intraOpNumThreads: threads } : {}),
    ...(optimizedModelFilePath ? { optimizedModelFilePath } : {}),
    extra: {
      // Several sessions share the cores: a pool that spins while it waits takes them from the others.
      session: { intra_op: { allow_spinning: '0' }, ...(keepsQuantized ? { disable_quant_qdq: '1' } : {}) },
      ...(withoutFusion ? { optimization: { disable_specified_optimizers: withoutFusion } } : {}),
    },
  };
}
