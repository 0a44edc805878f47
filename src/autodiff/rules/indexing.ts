import type { Name } from '../../graph/builder.js';
import { type Extent, extent, extents, reshapeTo, shapeFrom, zerosLike } from '../extent.js';
import type { Pass, Rule } from '../rule.js';

/** An axis longer than this is not listed position by position. */
const longestList = 2 ** 20;

/** Spreads values along an axis to distinct positions, zeros elsewhere. */
function place(
  { b }: Pass,
  dY: Name,
  positions: readonly number[],
  dim: number,
  axis: number,
  rank: number,
): Name {
  const pads = Array<number>(2 * rank).fill(0);
  const [first] = positions;
  if (positions.every((position, i) => position === first + i)) {
    pads[axis] = first;
    pads[rank + axis] = dim - first - positions.length;
    return b.op('Pad', [dY, b.ints(pads)]);
  }
  const from = Array<number>(dim).fill(positions.length);
  positions.forEach((position, i) => {
    from[position] = i;
  });
  pads[rank + axis] = 1; // one zero behind dY, which all other positions take
  return b.op('Gather', [b.op('Pad', [dY, b.ints(pads)]), b.ints(from)], { axis });
}

/** Adds values [.., count, ..] onto zeros like x at positions [count] of an axis. */
function scatter(pass: Pass, positions: Name, values: Name, axis: number, rank: number): Name {
  const { b, x } = pass;
  const column = b.reshape(positions, [
    ...Array<number>(axis).fill(1),
    -1,
    ...Array<number>(rank - axis - 1).fill(1),
  ]);
  const repeated = b.op('Expand', [column, b.op('Shape', [values])]);
  return b.op('ScatterElements', [zerosLike(pass, x[0]), repeated, values], { axis, reduction: 'add' });
}

/** Constant distinct indices are placed; all others are added up by ScatterElements, whose kernel is serial. */
export const gather: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const axis = pass.axis(pass.int('axis', 0), rank);
  const dim = pass.dims(x[0])[axis];
  const indexRank = pass.rank(x[1]);
  let flat = dY;
  if (indexRank === 0) flat = b.op('Unsqueeze', [dY, b.ints([axis])]);
  else if (indexRank > 1)
    flat = reshapeTo(pass, dY, [...extents(pass, x[0], 0, axis), -1, ...extents(pass, x[0], axis + 1)]);
  const indices = typeof dim === 'number' ? pass.numbers(1)?.map((i) => (i < 0 ? i + dim : i)) : undefined;
  const isListable = typeof dim === 'number' && dim <= longestList;
  if (isListable && indices && indices.length > 0 && new Set(indices).size === indices.length)
    return [place(pass, flat, indices, dim, axis, rank)];
  return [scatter(pass, x[1], flat, axis, rank)];
};

/** The chosen slices go back to where the condition holds. */
export const compress: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const positions = b.reshape(b.op('NonZero', [x[1]]), [-1]);
  if (pass.node.attributes.has('axis'))
    return [scatter(pass, positions, dY, pass.axis(pass.int('axis', 0), rank), rank)];
  const zeros = b.reshape(zerosLike(pass, x[0]), [-1]);
  return [pass.reshapeLike(b.op('ScatterElements', [zeros, positions, dY], { axis: 0 }), x[0])];
};

/** The k best go back to where they stood. */
export const topK: Rule = (pass) => {
  const { b, dY, x } = pass;
  const indices = pass.extraOutput(1);
  const axis = pass.int('axis', -1);
  return [b.op('ScatterElements', [zerosLike(pass, x[0]), indices, dY], { axis })];
};

export const gatherElements: Rule = (pass) => {
  const { b, dY, x } = pass;
  const axis = pass.int('axis', 0);
  return [b.op('ScatterElements', [zerosLike(pass, x[0]), x[1], dY], { axis, reduction: 'add' })];
};

/** Operands of a scatter along one axis: y = data with updates put in, added, ... at indices of the updates' dims. */
interface Scatter {
  readonly data: Name;
  readonly indices: Name;
  readonly updates: Name;
  readonly y: Name;
  readonly dY: Name;
  readonly axis: number;
  readonly reduction: string;
}

/**
 * Gradients of data and updates. What was overwritten gets 0; of several updates that overwrite one place ONNX
 * leaves open which one stays, and all of them get its gradient. Tied extremes share equally.
 */
function scattered(pass: Pass, { data, indices, updates, y, dY, axis, reduction }: Scatter): [Name, Name] {
  const { b } = pass;
  const put = (onto: Name, values: Name, how: string) =>
    b.op('ScatterElements', [onto, indices, values], { axis, reduction: how });
  const read = (value: Name) => b.op('GatherElements', [value, indices], { axis });
  if (reduction === 'none') return [put(dY, b.mul(updates, b.zero()), 'none'), read(dY)];
  if (reduction === 'add') return [dY, read(dY)];
  const like = (name: Name, value: number) => b.op('Expand', [b.scalar(value), b.op('Shape', [name])]);
  if (reduction === 'mul') {
    // Each factor times the product of the others: a product without zeros, and a count of the zeros beside it.
    const isZero = (value: Name) => b.asFloat(b.op('Equal', [value, b.zero()]));
    const [noData, noUpdate] = [isZero(data), isZero(updates)];
    const [factor, factors] = [b.add(data, noData), b.add(updates, noUpdate)];
    const product = put(factor, factors, 'mul');
    const zeros = put(noData, noUpdate, 'add');
    const others = (total: Name, count: Name, own: Name, none: Name) =>
      b.masked(b.op('Equal', [b.sub(count, none), b.zero()]), b.div(total, own));
    return [
      b.mul(dY, others(product, zeros, factor, noData)),
      b.mul(read(dY), others(read(product), read(zeros), factors, noUpdate)),
    ];
  }
  const won = b.asFloat(b.op('Equal', [data, y]));
  const updateWon = b.asFloat(b.op('Equal', [updates, read(y)]));
  const share = b.div(dY, put(b.add(won, like(data, 0)), updateWon, 'add'));
  return [b.mul(share, won), b.mul(read(share), updateWon)];
}

export const scatterElements: Rule = (pass) => {
  const { dY, x, y } = pass;
  const operands = { data: x[0], indices: x[1], updates: x[2], y: y[0], dY };
  const reduction = pass.string('reduction', 'none');
  const [dData, dUpdates] = scattered(pass, { ...operands, axis: pass.int('axis', 0), reduction });
  return [dData, undefined, dUpdates];
};

export const gatherND: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rows = rowsOf(pass, pass.int('batch_dims', 0));
  const values = rows.values(dY);
  const indices = b.op('Expand', [rows.indices, b.op('Shape', [values])]);
  const zeros = rows.data(zerosLike(pass, x[0]));
  const dX = b.op('ScatterElements', [zeros, indices, values], { axis: 0, reduction: 'add' });
  return [pass.reshapeLike(dX, x[0])];
};

/** By ScatterElements over rows: ScatterND with a reduction loses updates when it runs on several threads. */
export const scatterND: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const reduction = pass.string('reduction', 'none');
  const read = (value: Name) => b.op('GatherND', [value, x[1]]);
  if (reduction === 'add') return [dY, undefined, read(dY)];
  if (reduction === 'none')
    return [b.op('ScatterND', [dY, x[1], b.mul(x[2], b.zero())]), undefined, read(dY)];
  const rows = rowsOf(pass, 0);
  const updates = rows.values(x[2]);
  const [dData, dUpdates] = scattered(pass, {
    data: rows.data(x[0]),
    indices: b.op('Expand', [rows.indices, b.op('Shape', [updates])]),
    updates,
    y: rows.data(y[0]),
    dY: rows.data(dY),
    axis: 0,
    reduction,
  });
  return [pass.reshapeLike(dData, x[0]), undefined, pass.reshapeLike(dUpdates, x[2])];
};

/** x[0] seen as rows that the last axis of x[1] numbers, counted through: `indices` are [count, 1]. */
interface Rows {
  readonly indices: Name;
  readonly data: (value: Name) => Name;
  readonly values: (value: Name) => Name;
}

function rowsOf(pass: Pass, batch: number): Rows {
  const { b, x } = pass;
  const indexRank = pass.rank(x[1]);
  const depth = pass.dims(x[1])[indexRank - 1];
  if (typeof depth !== 'number') throw pass.unsupported('has indices of a length that is not known');
  const dims = extents(pass, x[0]);
  const product = (items: readonly Extent[]): Name =>
    b.op('ReduceProd', [items.length > 0 ? shapeFrom(pass, items) : b.ints([1])], { keepdims: 1 });
  const indexed = dims.slice(batch, batch + depth);
  const sizes = shapeFrom(pass, indexed);
  const strides = indexed.map((_, i) => product(indexed.slice(i + 1)));
  const stride = strides.length > 1 ? b.op('Concat', strides, { axis: 0 }) : strides[0];
  const isNegative = b.op('Cast', [b.op('Less', [x[1], b.int(0)])], { to: 7 });
  const absolute = b.add(x[1], b.mul(isNegative, sizes));
  let places = b.op('ReduceSum', [b.mul(absolute, stride), b.ints([-1])], { keepdims: 0 });
  if (batch > 0) {
    const count = b.op('Squeeze', [product(dims.slice(0, batch))]);
    const numbers = b.op('Range', [b.int(0), count, b.int(1)]);
    const offsets = reshapeTo(pass, b.mul(numbers, product(indexed)), [
      ...dims.slice(0, batch),
      ...Array<number>(indexRank - 1 - batch).fill(1),
    ]);
    places = b.add(places, offsets);
  }
  const width = dims.slice(batch + depth);
  const rows = (value: Name) => {
    if (width.length === 0) return b.reshape(value, [-1, 1]);
    return width.length === 1 || width.every((dim) => typeof dim === 'number')
      ? reshapeTo(pass, value, [
          -1,
          width.length === 1 ? width[0] : width.reduce<number>((p, d) => p * Number(d), 1),
        ])
      : b.op('Reshape', [value, b.op('Concat', [b.ints([-1]), product(width)], { axis: 0 })]);
  };
  return { indices: b.reshape(places, [-1, 1]), data: rows, values: rows };
}

/** Updates written along an axis from a place of each batch item's own; a circular cache goes on at its start. */
export const tensorScatter: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const axis = pass.axis(pass.int('axis', -2), rank);
  const mode = pass.string('mode', 'linear');
  const dPast = b.op('TensorScatter', [dY, b.mul(x[1], b.zero()), x[2] || undefined], { axis, mode });
  const count = b.op('Squeeze', [shapeFrom(pass, [extent(pass, x[1], axis)])]);
  const along = (value: Name, at: number) =>
    b.reshape(
      value,
      Array.from({ length: rank }, (_, i) => (i === at ? -1 : 1)),
    );
  let places = along(b.op('Range', [b.int(0), count, b.int(1)]), axis);
  if (x[2]) places = b.add(places, along(x[2], 0));
  if (mode === 'circular') places = b.op('Mod', [places, shapeFrom(pass, [extent(pass, x[0], axis)])]);
  const indices = b.op('Expand', [places, b.op('Shape', [x[1]])]);
  return [dPast, b.op('GatherElements', [dY, indices], { axis })];
};

/** dY summed where the index is off, and where it is on. */
export const oneHot: Rule = (pass) => {
  const { b, dY, x } = pass;
  const mask = b.op('OneHot', [x[0], x[1], b.floats([0, 1], [2])], { axis: pass.int('axis', -1) });
  const total = (value: Name) => b.reshape(b.op('ReduceSum', [value], { keepdims: 0 }), [1]);
  const on = total(b.mul(dY, mask));
  return [undefined, undefined, b.op('Concat', [b.sub(total(dY), on), on], { axis: 0 })];
};

/** y = start + i · delta. */
export const range: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const count = b.op('Squeeze', [b.op('Shape', [y[0]])]);
  const steps = b.asFloat(b.op('Range', [b.int(0), count, b.int(1)]));
  const sum = (value: Name, like: Name) =>
    pass.reshapeLike(b.op('ReduceSum', [value], { keepdims: 0 }), like);
  return [sum(dY, x[0]), undefined, sum(b.mul(dY, steps), x[2])];
};
