import type * as ort from 'onnxruntime-common';
import type { GpuTensor, Tensor, TensorType } from '../tensor.js';
import type { EngineOptions, EngineSession, Results } from './engine.js';

/** What both builds of ONNX Runtime have. */
type Ort = Pick<typeof ort, 'Tensor'>;

/** What WebAssembly makes of −1, by which ONNX Runtime says that a dim has neither size nor name. */
const unknown = 2 ** 32 - 1;

/**
 * Execution providers as a session takes them. The WebGPU provider else lays pictures out channels last, and what leaves a session is
 * laid out back on the CPU.
 */
export function providersFor(
  providers: EngineOptions['providers'],
): ort.InferenceSession.ExecutionProviderConfig[] {
  return providers.map((item) => (item === 'webgpu' ? { name: item, preferredLayout: 'NCHW' } : item));
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
      const outputs = await session.run(ortTensors(runtime, feeds));
      const results: Results = { values: {}, held: {} };
      for (const [name, value] of Object.entries(outputs)) {
        const { dims } = value;
        const type = value.type as TensorType;
        if (value.location === 'gpu-buffer') results.held[name] = heldTensor(value, type);
        else results.values[name] = { type, dims, data: value.data as never };
      }
      return results;
    },
    close: () => session.release(),
  };
}

function heldTensor(value: ort.Tensor, type: TensorType): GpuTensor {
  return {
    type,
    dims: value.dims,
    buffer: value.gpuBuffer as unknown as GPUBuffer,
    release: () => value.dispose(),
  };
}

function ortTensors(
  runtime: Ort,
  tensors: Readonly<Record<string, Tensor | GpuTensor>>,
): Record<string, ort.Tensor> {
  const made: Record<string, ort.Tensor> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    const { type, dims } = tensor;
    made[name] =
      'buffer' in tensor
        ? runtime.Tensor.fromGpuBuffer(tensor.buffer as never, { dataType: type as 'float32', dims })
        : new runtime.Tensor(type as never, tensor.data as never, dims);
  }
  return made;
}
