import type { Dim } from '../graph/graph.js';
import type { GpuTensor, Tensor } from '../tensor.js';

/** What one build of ONNX Runtime offers: that for Node.js, or that for pages. */
export interface Engine {
  /** The execution providers that it has, and the one that is used where none is named. */
  readonly providers: readonly string[];
  readonly provider: string;
  open(
    model: Uint8Array,
    externalData: readonly ExternalData[],
    options: EngineOptions,
  ): Promise<EngineSession>;
  /** Whether an error says that an execution provider cannot be used, and not that the model is at fault. */
  isOfProvider(message: string): boolean;
  /** A sentence. */
  readonly whatProvidersNeed: string;
  /**
   * What networks run on, a sentence for whoever asked for this engine; absent where there is nothing to say.
   *
   * @throws GradcamppError UNSUPPORTED_BACKEND where there is no GPU
   */
  readonly describe?: () => Promise<string>;
  /** The GPU's device that sessions of the provider "webgpu" share, once one is open; absent where their outputs cannot stay there. */
  readonly device?: () => Promise<GPUDevice>;
}

/** Weights beside the model, in memory. */
export interface ExternalData {
  readonly path: string;
  readonly data: Uint8Array;
}

export interface Optimisation {
  readonly level: 'disabled' | 'basic' | 'extended' | 'all';
  /** Where to write the graph that ONNX Runtime really runs. */
  readonly optimizedModelFilePath?: string;
  /** Keep memory between runs; default true. Without, runs are slower where tensors are large, and peaks lower. */
  readonly arena: boolean;
}

export interface EngineOptions extends Optimisation {
  readonly providers: readonly (string | { name: string })[];
  readonly threads?: number;
  /** Whether pairs of QuantizeLinear and DequantizeLinear stay as they are written. */
  readonly keepsQuantized: boolean;
  /** An optimisation that is left out. */
  readonly withoutFusion?: string;
  /** Outputs that stay on the GPU; only where the engine has a `device`. */
  readonly held?: readonly string[];
}

export interface OutputInfo {
  readonly name: string;
  /** ONNX Runtime's name of the element type; undefined where the value is no tensor. */
  readonly type: string | undefined;
  readonly dims: readonly Dim[];
}

/** What a run leaves: in memory, and on the GPU. */
export interface Results {
  readonly values: Record<string, Tensor>;
  readonly held: Record<string, GpuTensor>;
}

export interface EngineSession {
  readonly outputs: readonly OutputInfo[];
  run(feeds: Readonly<Record<string, Tensor | GpuTensor>>): Promise<Results>;
  close(): Promise<void>;
}
