import { oneOf } from '../check.js';
import { GradcamppError, messageOf } from '../errors.js';
import type { Graph, ValueInfo } from '../graph/graph.js';
import { DataType } from '../onnx/types.js';
import { encode, modelOf } from '../graph/to-model.js';
import type { Constant } from '../onnx/constant.js';
import { externalTensor } from '../onnx/write.js';
import type { EngineSession, ExternalData, Optimisation, OutputInfo, Results } from './engine.js';
import { loadEngine } from './onnxruntime.js';
import { reasonOf } from './reasons.js';
import { type GpuTensor, sizeOf, type Tensor } from '../tensor.js';

/** Above this many bytes a weight is handed to ONNX Runtime beside the model instead of inside it. */
const inlineBytes = 1024;

export interface SessionOptions {
  /** ONNX Runtime execution providers, in order of preference; default ['cpu']. */
  readonly executionProviders?: readonly (string | { name: string })[];
  /** Threads inside one operator; default: ONNX Runtime's choice, the physical cores. */
  readonly threads?: number;
}

/** ONNX Runtime's names of element types. */
export const ortTypes: Readonly<Record<string, DataType>> = {
  float32: DataType.FLOAT,
  uint8: DataType.UINT8,
  int8: DataType.INT8,
  uint16: DataType.UINT16,
  int16: DataType.INT16,
  int32: DataType.INT32,
  int64: DataType.INT64,
  string: DataType.STRING,
  bool: DataType.BOOL,
  float16: DataType.FLOAT16,
  float64: DataType.DOUBLE,
  uint32: DataType.UINT32,
  uint64: DataType.UINT64,
};

/** What a session says of a value, in our terms. */
export function inferredInfo({ name, type, dims }: OutputInfo): ValueInfo {
  return { name, type: type === undefined ? undefined : ortTypes[type], dims };
}

/** One ONNX Runtime session over one of our graphs. */
export interface Session {
  readonly outputs: readonly OutputInfo[];
  /**
   * Feeds are read in place; every output of the graph is fetched, into new arrays. (ONNX Runtime takes arrays to write
   * into as well, but its binding for Node.js then makes new ones all the same.)
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /** The same where feeds and outputs may be on the GPU: those that the session was opened to hold there. */
  runHeld(feeds: Readonly<Record<string, Tensor | GpuTensor>>): Promise<Results>;
  close(): Promise<void>;
}

/**
 * Opens a session. Large weights go to ONNX Runtime as views, so they are not copied on our side.
 *
 * @throws GradcamppError UNSUPPORTED_MODEL or UNSUPPORTED_BACKEND, saying what ONNX Runtime says
 */
export async function openSession(
  graph: Graph,
  options: SessionOptions = {},
  {
    level = 'all',
    optimizedModelFilePath,
    arena = true,
    held,
  }: Partial<Optimisation> & { readonly held?: readonly string[] } = {},
): Promise<Session> {
  const { bytes, externalData } = serialize(graph);
  // A rounding error of a float can move a quantised value by a whole step: these models are computed as they are written,
  // since integer kernels, weights quantised once more and sums in another order give other numbers.
  const isQuantized = graph.nodes.some(({ opType }) => opType === 'QuantizeLinear');
  const engine = await loadEngine(firstProvider(options));
  const providers = options.executionProviders ?? [engine.provider];
  for (const provider of options.executionProviders ?? [])
    oneOf('executionProviders', nameOf(provider), engine.providers);
  const create = (withoutFusion?: string) =>
    engine.open(bytes, externalData, {
      providers,
      threads: options.threads,
      level: isQuantized && level !== 'disabled' ? 'basic' : level,
      optimizedModelFilePath,
      arena,
      keepsQuantized: isQuantized,
      withoutFusion,
      held,
    });
  let session: EngineSession;
  try {
    session = await create().catch((error: unknown) => {
      // ONNX Runtime joins a Pad and a pooling to one whose pads its own check then refuses.
      if (String(error).includes('Pad should be smaller than kernel')) return create('Pad_Fusion');
      throw error;
    });
  } catch (error) {
    if (error instanceof GradcamppError) throw error;
    const reason = reasonOf(error, graph);
    const isProvider = engine.isOfProvider(messageOf(error));
    throw new GradcamppError(
      isProvider ? 'UNSUPPORTED_BACKEND' : 'UNSUPPORTED_MODEL',
      isProvider
        ? `The execution provider ${providers.map(nameOf).join(', ')} cannot be used here: ${reason}. ${engine.whatProvidersNeed}`
        : `ONNX Runtime refuses the model: ${reason}.`,
      { cause: error },
    );
  }
  return {
    outputs: session.outputs,
    run: async (feeds) => (await run(session, feeds, graph)).values,
    runHeld: (feeds) => run(session, feeds, graph),
    close: () => session.close(),
  };
}

/** The execution provider that runs what it can. */
export function firstProvider({ executionProviders = [] }: SessionOptions): string | undefined {
  return executionProviders.length > 0 ? nameOf(executionProviders[0]) : undefined;
}

/** What these sessions run on, a sentence; undefined where there is nothing to say. */
export async function whatRuns(options: SessionOptions): Promise<string | undefined> {
  const provider = firstProvider(options);
  return provider === 'webgpu' ? (await loadEngine(provider)).describe?.() : undefined;
}

/** The device of the GPU that these sessions run on, once one is open; undefined where their outputs cannot stay there. */
export async function gpuDevice(options: SessionOptions): Promise<GPUDevice | undefined> {
  const provider = firstProvider(options);
  return provider === 'webgpu' ? (await loadEngine(provider)).device?.() : undefined;
}

/** Whether outputs of these sessions can stay on the GPU. */
export async function canHold(options: SessionOptions): Promise<boolean> {
  const provider = firstProvider(options);
  return provider === 'webgpu' && (await loadEngine(provider)).device !== undefined;
}

function nameOf(provider: NonNullable<SessionOptions['executionProviders']>[number]): string {
  return typeof provider === 'string' ? provider : provider.name;
}

/** A graph as ONNX Runtime takes it: small bytes, and the weights as views beside them. */
export function serialize(graph: Graph): {
  bytes: Uint8Array;
  externalData: ExternalData[];
} {
  const isLarge = (constant: Constant) => constant.bytes.byteLength > inlineBytes;
  const model = modelOf(graph, (_, constant) => !isLarge(constant));
  const externalData: ExternalData[] = [];
  for (const [name, constant] of graph.constants) {
    if (!isLarge(constant)) continue;
    const path = `weight-${externalData.length}`;
    externalData.push({ path, data: constant.bytes });
    model.graph?.initializer.push(externalTensor(name, constant, path));
  }
  return { bytes: encode(model), externalData };
}

async function run(
  session: EngineSession,
  feeds: Readonly<Record<string, Tensor | GpuTensor>>,
  graph: Graph,
): Promise<Results> {
  try {
    return await session.run(feeds);
  } catch (error) {
    throw new GradcamppError('RUNTIME', `ONNX Runtime failed: ${reasonOf(error, graph)}.`, { cause: error });
  }
}

/** Makes a feed, checking that the data fills the dims. */
export function feed(data: Float32Array, dims: readonly number[]): Tensor<'float32'> {
  if (data.length !== sizeOf(dims))
    throw new RangeError(`${data.length} values for dims [${dims.join(', ')}]`);
  return { type: 'float32', dims, data };
}
