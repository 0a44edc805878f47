import { GradcamppError, systemReason } from '../errors.js';
import { modelSegments } from '../onnx/write.js';
import { writeSegments } from '../onnx/write-file.js';
import type { Graph } from './graph.js';
import { modelOf } from './to-model.js';

/** A graph that can be stored as an ONNX file. */
export interface ModelFile {
  readonly graph: Graph;
  /** The whole file. Weights are copied once, into it. */
  toBytes(): Uint8Array;
  /** Writes the file without copying weights. */
  save(path: string): Promise<void>;
}

/** Constants above this many bytes are written as fragments of their own. */
const inlineBytes = 1024;

export function modelFile(graph: Graph): ModelFile {
  const segments = () => {
    const large = new Map([...graph.constants].filter(([, { bytes }]) => bytes.byteLength > inlineBytes));
    const model = modelOf(graph, (name) => !large.has(name));
    return modelSegments(model, large);
  };
  return {
    graph,
    toBytes: () => Buffer.concat(segments()),
    save: async (path) => {
      try {
        await writeSegments(path, segments());
      } catch (cause) {
        throw new GradcamppError('OUTPUT', `Cannot write ${JSON.stringify(path)}: ${systemReason(cause)}.`, {
          cause,
        });
      }
    },
  };
}
