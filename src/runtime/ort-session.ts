import type * as ort from 'onnxruntime-common';
import type { Tensor, TensorType } from '../tensor.js';
import type { EngineOptions, EngineSession } from './engine.js';

/** What both builds of ONNX Runtime have. */
type Ort = Pick<typeof ort, 'Tensor'>;

/** What WebAssembly makes of −1, by which ONNX Runtime says that a dim has neither size nor name. */
const unknown = 2 ** 32 - 1;

/**
 * Execution providers as a session takes them. The WebGPU provider else lays pictures out channels last, and what leaves a session is
 * laid out back on the CPU.
 */
export function providersFor(providers: EngineOptions['providers']): never {
  return providers.map((item) =>
    item === 'webgpu' ? { name: item, preferredLayout: 'NCHW' } : item,
  ) as never;
}

/** A session as both builds of ONNX Runtime have it, in our terms. */
export function sessionOf(runtime: Ort, session: ort.InferenceSession): EngineSession {
  return {
    outputs: session.outputMetadata.map((item) =>
      item.isTensor
        ? { name: item.name, type: item.type, dims: item.shape.map((dim) => (dim === unknown ? '' : dim)) }
        : { name: item.name, type: undefined, dims: [] },
    ),
    run: async (feeds) => {
      const results = await session.run(ortTensors(runtime, feeds));
      const outputs: Record<string, Tensor> = {};
      for (const [name, value] of Object.entries(results))
        outputs[name] = { type: value.type as TensorType, dims: value.dims, data: value.data as never };
      return outputs;
    },
    close: () => session.release(),
  };
}

function ortTensors(runtime: Ort, tensors: Readonly<Record<string, Tensor>>): Record<string, ort.Tensor> {
  const made: Record<string, ort.Tensor> = {};
  for (const [name, { type, data, dims }] of Object.entries(tensors))
    made[name] = new runtime.Tensor(type as never, data as never, dims);
  return made;
}
