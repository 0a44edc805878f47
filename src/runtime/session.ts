import type * as ort from 'onnxruntime-node';
import { oneOf } from '../check.js';
import { GradcamppError, messageOf } from '../errors.js';
import type { Dim, Graph, ValueInfo } from '../graph/graph.js';
import { DataType } from '../onnx/types.js';
import { encode, modelOf } from '../graph/to-model.js';
import type { Constant } from '../onnx/constant.js';
import { externalTensor } from '../onnx/write.js';
import { reasonOf } from './reasons.js';
import { disableTelemetry } from '../telemetry.js';
import { sizeOf, type Tensor, type TensorType } from '../tensor.js';

/** Above this many bytes a weight is handed to ONNX Runtime beside the model instead of inside it. */
const inlineBytes = 1024;

export interface SessionOptions {
  /** ONNX Runtime execution providers, in order of preference; default ['cpu']. */
  readonly executionProviders?: readonly (string | { name: string })[];
  /** Threads inside one operator; default: ONNX Runtime's choice, the physical cores. */
  readonly threads?: number;
}

interface Optimisation {
  readonly level?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Where to write the graph that ONNX Runtime really runs. */
  readonly optimizedModelFilePath?: string;
  /** Keep memory between runs; default true. Without, runs are slower where tensors are large, and peaks lower. */
  readonly arena?: boolean;
}

export interface OutputInfo {
  readonly name: string;
  readonly type: string | undefined;
  readonly dims: readonly Dim[];
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
  { level = 'all', optimizedModelFilePath, arena = true }: Optimisation = {},
): Promise<Session> {
  const { bytes, externalData } = serialize(graph);
  // A rounding error of a float can move a quantised value by a whole step: these models are computed as they are written,
  // since integer kernels, weights quantised once more and sums in another order give other numbers.
  const isQuantized = graph.nodes.some(({ opType }) => opType === 'QuantizeLinear');
  const runtime = await load();
  checkProviders(runtime, options.executionProviders ?? []);
  const create = (withoutFusion?: string) =>
    runtime.InferenceSession.create(bytes, {
      executionProviders: [...(options.executionProviders ?? ['cpu'])] as never,
      graphOptimizationLevel: isQuantized && level !== 'disabled' ? 'basic' : level,
      logSeverityLevel: 4, // what fails is thrown, in ONNX Runtime's words
      enableCpuMemArena: arena,
      externalData,
      ...(options.threads ? { intraOpNumThreads: options.threads } : {}),
      ...(optimizedModelFilePath ? { optimizedModelFilePath } : {}),
      extra: {
        // Several sessions share the cores: a pool that spins while it waits takes them from the others.
        session: { intra_op: { allow_spinning: '0' }, ...(isQuantized ? { disable_quant_qdq: '1' } : {}) },
        ...(withoutFusion ? { optimization: { disable_specified_optimizers: withoutFusion } } : {}),
      },
    });
  let session: ort.InferenceSession;
  try {
    session = await create().catch((error: unknown) => {
      // ONNX Runtime joins a Pad and a pooling to one whose pads its own check then refuses.
      if (String(error).includes('Pad should be smaller than kernel')) return create('Pad_Fusion');
      throw error;
    });
  } catch (error) {
    const reason = reasonOf(error, graph);
    const isProvider = /ExecutionProvider_|\/providers\/(?!cpu)/.test(messageOf(error));
    throw new GradcamppError(
      isProvider ? 'UNSUPPORTED_BACKEND' : 'UNSUPPORTED_MODEL',
      isProvider
        ? `The execution provider ${(options.executionProviders ?? []).map(nameOf).join(', ')} cannot be used here: ${reason}. It needs its device, its driver's libraries and an onnxruntime-node that was built with it; "cpu" works everywhere.`
        : `ONNX Runtime refuses the model: ${reason}.`,
      { cause: error },
    );
  }
  return {
    outputs: outputsOf(session),
    run: (feeds) => run(runtime, session, feeds, graph),
    close: () => session.release(),
  };
}

function nameOf(provider: NonNullable<SessionOptions['executionProviders']>[number]): string {
  return typeof provider === 'string' ? provider : provider.name;
}

function checkProviders(
  runtime: typeof ort,
  providers: NonNullable<SessionOptions['executionProviders']>,
): void {
  const known = runtime.listSupportedBackends().map(({ name }) => name);
  for (const provider of providers) oneOf('executionProviders', nameOf(provider), known);
}

/** ONNX Runtime is loaded when the first session is opened: its library takes longer than all the rest. */
async function load(): Promise<typeof ort> {
  disableTelemetry();
  const runtime = await import('onnxruntime-node');
  if (runtime.env.logLevel === 'warning') runtime.env.logLevel = 'fatal'; // what fails is thrown; the rest is for its makers
  return runtime;
}

/** A graph as ONNX Runtime takes it: small bytes, and the weights as views beside them. */
export function serialize(graph: Graph): {
  bytes: Uint8Array;
  externalData: { path: string; data: Uint8Array }[];
} {
  const isLarge = (constant: Constant) => constant.bytes.byteLength > inlineBytes;
  const model = modelOf(graph, (_, constant) => !isLarge(constant));
  const externalData: { path: string; data: Uint8Array }[] = [];
  for (const [name, constant] of graph.constants) {
    if (!isLarge(constant)) continue;
    const path = `weight-${externalData.length}`;
    externalData.push({ path, data: constant.bytes });
    model.graph?.initializer.push(externalTensor(name, constant, path));
  }
  return { bytes: encode(model), externalData };
}

function outputsOf(session: ort.InferenceSession): OutputInfo[] {
  return session.outputMetadata.map((item) =>
    item.isTensor
      ? { name: item.name, type: item.type, dims: item.shape }
      : { name: item.name, type: undefined, dims: [] },
  );
}

async function run(
  runtime: typeof ort,
  session: ort.InferenceSession,
  feeds: Readonly<Record<string, Tensor>>,
  graph: Graph,
): Promise<Record<string, Tensor>> {
  let results: ort.InferenceSession.OnnxValueMapType;
  try {
    results = await session.run(ortTensors(runtime, feeds));
  } catch (error) {
    throw new GradcamppError('RUNTIME', `ONNX Runtime failed: ${reasonOf(error, graph)}.`, { cause: error });
  }
  const outputs: Record<string, Tensor> = {};
  for (const [name, value] of Object.entries(results))
    outputs[name] = { type: value.type as TensorType, dims: value.dims, data: value.data as never };
  return outputs;
}

function ortTensors(
  runtime: typeof ort,
  tensors: Readonly<Record<string, Tensor>>,
): Record<string, ort.Tensor> {
  const made: Record<string, ort.Tensor> = {};
  for (const [name, { type, data, dims }] of Object.entries(tensors))
    made[name] = new runtime.Tensor(type, data as never, dims);
  return made;
}

/** Makes a feed, checking that the data fills the dims. */
export function feed(data: Float32Array, dims: readonly number[]): Tensor<'float32'> {
  if (data.length !== sizeOf(dims))
    throw new RangeError(`${data.length} values for dims [${dims.join(', ')}]`);
  return { type: 'float32', dims, data };
}
