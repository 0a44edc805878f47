import { appended, Builder } from '../graph/builder.js';
import type { Dim, Graph, ValueInfo } from '../graph/graph.js';
import { DataType } from '../onnx/types.js';

/** A graph that holds one value more: others in another layout. */
export interface View {
  readonly graph: Graph;
  readonly info: ValueInfo;
}

/** [T, N, …] as [N, T, …], as recurrent networks give it; undefined where N is first, or cannot be told. */
export function batchFirst(graph: Graph, info: ValueInfo, batch: Dim | undefined): View | undefined {
  const { dims = [], name } = info;
  const [first, second, ...rest] = dims;
  const isSecond = second === batch && second !== '' && first !== batch && dims.length === 3 && rest[0] !== 1;
  if (!isSecond) return undefined;
  const b = new Builder(graph);
  const perm = [1, 0, ...rest.map((_, i) => i + 2)];
  const view = b.op('Transpose', [name], { perm }, b.names.free(`${name}, batch first`));
  return added(graph, b, { ...info, name: view, dims: [second, first, ...rest] });
}

/** The values of several outputs one after another, [N, all]; of one output its values as they are. */
export function joined(graph: Graph, infos: readonly ValueInfo[], fixedBatch: number | undefined): View {
  const b = new Builder(graph);
  const own = b.names.free(infos.map(({ name }) => name).join(' and '));
  if (infos.length === 1) {
    const [{ name, dims }] = infos;
    return added(graph, b, { name: b.op('Identity', [name], {}, own), type: DataType.FLOAT, dims });
  }
  const shape = b.ints([fixedBatch ?? 0, -1]);
  const rows = infos.map(({ name }) => b.op('Reshape', [name, shape]));
  return added(graph, b, {
    name: b.op('Concat', rows, { axis: 1 }, own),
    type: DataType.FLOAT,
    dims: [fixedBatch ?? infos[0].dims?.[0] ?? '', ''],
  });
}

function added(graph: Graph, b: Builder, info: ValueInfo): View {
  const grown = appended(graph, b);
  return { graph: { ...grown, values: new Map([...graph.values, [info.name, info]]) }, info };
}
