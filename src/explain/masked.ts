import { appended, Builder, type Name, Names } from '../graph/builder.js';
import { subgraph, type ValueInfo } from '../graph/graph.js';
import type { Scores } from '../graph/scores.js';
import type { Enlargement } from '../methods/common/evidence.js';
import { ratioNodes } from '../methods/common/method.js';
import { DataType } from '../onnx/types.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { linearTaps } from '../upsample.js';
import type { Network } from './network.js';

/** A network whose picture is multiplied by masks that are enlarged before it, on ONNX Runtime's side. */
export interface MaskedNetwork {
  /** Numbers of one mask: its cells, and the matrices that enlarge it along rows and columns. */
  readonly length: number;
  /** Writes them. */
  fill(cells: ArrayLike<number>, offsets: readonly number[] | undefined, out: Float32Array): void;
  /** Scores of one picture under `count` masks. */
  run(
    picture: Float32Array,
    masks: Float32Array,
    count: number,
    feeds: Readonly<Record<string, Tensor>>,
  ): Promise<Tensor>;
}

/** Masks of two axes, which lie over the last two of the picture; undefined for others. */
export async function openMasked(
  network: Network,
  scores: Scores,
  enlargement: Enlargement,
  { dims, channelAxis }: { readonly dims: readonly number[]; readonly channelAxis: number },
): Promise<MaskedNetwork | undefined> {
  const { from, to, size, isNormalized } = enlargement;
  if (from.length !== 2) return undefined;
  const { image, graph } = network;
  const key = ['masked', scores.info.name, channelAxis > 0, isNormalized];
  const { session, names } = await network.once(key, async () => {
    const free = Names.of(graph);
    const [picture, cells, rows, columns] = ['picture', 'cells', 'rows', 'columns'].map((name) =>
      free.free(name),
    );
    const made = { picture, cells, rows, columns };
    return { names: made, session: await network.session(key, () => maskedGraph()) };

    function maskedGraph() {
      const b = new Builder(graph);
      b.at('mask');
      for (const name of Object.values(made)) b.names.take(name);
      const mask = b.op('MatMul', [rows, b.op('MatMul', [cells, columns])]);
      b.op('Mul', [picture, inPlace(b, isNormalized ? normalized(b, mask) : mask)], {}, image.name);
      const info = (name: Name, own: ValueInfo['dims']): ValueInfo => ({
        name,
        type: DataType.FLOAT,
        dims: own,
      });
      const others = graph.inputs.filter(({ name }) => name !== image.name);
      const inputs = [
        ...others,
        info(picture, [1, ...(image.dims ?? []).slice(1)]),
        info(cells, ['', '', '']),
        info(rows, ['', '', '']),
        info(columns, ['', '', '']),
      ];
      const whole = { ...appended(graph, b), nodes: [...b.nodes, ...graph.nodes] };
      return subgraph(whole, inputs, [scores.info]);
    }
  });
  const [[h, w], [H, W]] = [from, size];
  const [cellCount, rowCount, columnCount] = [h * w, H * h, w * W];
  const taps = from.map((dim, axis) => linearTaps(dim, to[axis]));
  return {
    length: cellCount + rowCount + columnCount,
    fill: (cells, offsets, out) => {
      out.fill(0);
      const least = isNormalized ? cells[0] : 0; // what is normalised may be moved: constants become 0 without rounding
      for (let i = 0; i < cellCount; i++) out[i] = cells[i] - least;
      const [rows, columns] = taps;
      for (let i = 0, at = cellCount, tap = offsets?.[0] ?? 0; i < H; i++, at += h, tap++) {
        out[at + rows.high[tap]] += rows.t[tap];
        out[at + rows.low[tap]] += 1 - rows.t[tap];
      }
      for (let i = 0, at = cellCount + rowCount, tap = offsets?.[1] ?? 0; i < W; i++, at++, tap++) {
        out[at + columns.high[tap] * W] += columns.t[tap];
        out[at + columns.low[tap] * W] += 1 - columns.t[tap];
      }
    },
    run: async (picture, masks, count, feeds) => {
      const part = (start: number, own: readonly number[]): Tensor<'float32'> => {
        const length = sizeOf(own);
        const data = new Float32Array(count * length);
        const step = masks.length / count;
        for (let n = 0; n < count; n++)
          data.set(masks.subarray(n * step + start, n * step + start + length), n * length);
        return { type: 'float32', dims: [count, ...own], data };
      };
      const results = await session.run({
        ...feeds,
        [names.picture]: { type: 'float32', dims: [1, ...dims], data: picture },
        [names.cells]: part(0, [h, w]),
        [names.rows]: part(cellCount, [H, h]),
        [names.columns]: part(cellCount + rowCount, [w, W]),
      });
      return results[scores.info.name];
    },
  };

  /** [N, H, W] as it multiplies the input. */
  function inPlace(b: Builder, mask: Name): Name {
    const isLast = channelAxis > 0;
    const before = dims.length + 1 - 3 - (isLast ? 1 : 0); // axes between N and H
    const axes = Array.from({ length: before }, (_, i) => i + 1);
    if (isLast) axes.push(dims.length);
    return axes.length === 0 ? mask : b.op('Unsqueeze', [mask, b.ints(axes)]);
  }
}

/** (mask − min) / (max − min) of each; a constant becomes 0. */
function normalized(b: Builder, mask: Name): Name {
  const least = b.op('ReduceMin', [mask, b.ints([1, 2])]);
  const most = b.op('ReduceMax', [mask, b.ints([1, 2])]);
  return ratioNodes(b, b.sub(mask, least), b.sub(most, least));
}
