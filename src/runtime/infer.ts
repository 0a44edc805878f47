import type { Constant } from '../onnx/constant.js';
import { isFloat } from '../onnx/types.js';
import { appended, Builder } from '../graph/builder.js';
import { type Graph, readsOf, type ValueInfo } from '../graph/graph.js';
import { inferredInfo, openSession } from './session.js';

/** Constants that dims can depend on are small; all others may become inputs. */
function isWeight(constant: Constant): boolean {
  return constant.bytes.byteLength > (isFloat(constant.type) ? 256 : 4096);
}

/**
 * Type and dims of every value, by ONNX Runtime's own shape inference: each value is made an output and the
 * session's metadata read. Weights stand as inputs, so none is copied and nothing is optimised.
 */
export async function inferValues(graph: Graph): Promise<Graph> {
  const constants = new Map<string, Constant>();
  const weights: ValueInfo[] = [];
  for (const [name, constant] of graph.constants) {
    if (isWeight(constant)) weights.push({ name, type: constant.type, dims: constant.dims });
    else constants.set(name, constant);
  }
  const used = new Set(graph.nodes.flatMap(readsOf));
  const inputs = [...graph.inputs, ...weights.filter((weight) => used.has(weight.name))];
  const bare = { ...graph, inputs, constants };
  const values = new Map(graph.inputs.map((input) => [input.name, input] as const));
  const made = graph.nodes.flatMap((node) => node.outputs.filter(Boolean));
  const noted = notedDims(graph);
  for (const info of await outputsOf(bare, made, noted))
    values.set(info.name, noted.has(info.name) ? { ...info, isNoted: true } : info);
  for (const name of await withoutRank(bare, values)) {
    const { type } = values.get(name) as ValueInfo;
    values.set(name, { name, type, dims: undefined });
  }
  for (const [name, constant] of graph.constants)
    values.set(name, { name, type: constant.type, dims: constant.dims });
  return { ...graph, values };
}

async function outputsOf(
  graph: Graph,
  names: readonly string[],
  noted: ReadonlyMap<string, ValueInfo>,
): Promise<ValueInfo[]> {
  const outputs = names.map(
    (name): ValueInfo => noted.get(name) ?? { name, type: undefined, dims: undefined },
  );
  const session = await openSession({ ...graph, outputs }, { threads: 1 }, { level: 'disabled' });
  await session.close();
  return session.outputs.map(inferredInfo);
}

/** Dims that ONNX Runtime cannot infer but takes over (graph/fold.ts finds them). */
function notedDims({ values }: Graph): Map<string, ValueInfo> {
  const noted = [...values.values()].filter(
    ({ type, dims, isNoted }) => isNoted && type !== undefined && dims?.length,
  );
  return new Map(noted.map((info) => [info.name, info]));
}

/**
 * A value of unknown rank has the same metadata as a scalar. The Shape of a scalar has 0 items, that of a value of
 * unknown rank an unknown number. Only floats are looked at: whole numbers without dims are indices and sizes.
 */
async function withoutRank(graph: Graph, values: ReadonlyMap<string, ValueInfo>): Promise<string[]> {
  const doubtful = graph.nodes.flatMap((node) =>
    node.outputs.filter((name) => {
      const info = values.get(name);
      return info?.dims?.length === 0 && info.type !== undefined && isFloat(info.type);
    }),
  );
  if (doubtful.length === 0) return [];
  const b = new Builder(graph);
  const shapes = doubtful.map((name) => b.op('Shape', [name]));
  const known = await outputsOf(appended(graph, b), shapes, notedDims(graph));
  const ranks = new Map(known.map(({ name, dims }) => [name, dims?.[0]]));
  return doubtful.filter((_, i) => ranks.get(shapes[i]) !== 0);
}
