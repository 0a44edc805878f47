import { isFloat } from '../../onnx/types.js';
import { alongAxis, identityMatrix } from '../axis.js';
import type { Name } from '../../graph/builder.js';
import { type Extent, extent, extents, filled, reshapeTo, shapeFrom } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { unbroadcast } from '../unbroadcast.js';

/** Reshape, Flatten, Squeeze, Unsqueeze: the same values in other dims. */
export const reshaped: Rule = (pass) => [pass.reshapeLike(pass.dY, pass.x[0])];

export const transpose: Rule = (pass) => {
  const { b, dY, x } = pass;
  const perm = pass.ints('perm') ?? pass.dims(x[0]).map((_, i, dims) => dims.length - 1 - i);
  const inverse: number[] = [];
  perm.forEach((axis, i) => {
    inverse[axis] = i;
  });
  return [b.transpose(dY, inverse)];
};

export const expand: Rule = (pass) => [unbroadcast(pass, pass.dY, pass.x[0])];

/** Between float types; of whole numbers that stand for floats (quantised ones) the gradient stays a float. */
export const cast: Rule = (pass) => {
  const to = pass.type(pass.x[0]);
  const isSame = to === undefined || to === pass.type(pass.y[0]) || !isFloat(to);
  return [isSame ? pass.dY : pass.b.op('Cast', [pass.dY], { to })];
};

/** All parts at once, or only those that anybody asked for. */
export const concat: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  if (x.length === 1) return [dY];
  const given = pass.int('axis', 0);
  const axis = given < 0 ? given + pass.rank(y[0]) : given;
  const sizes = x.map((name) => extent(pass, name, axis));
  const isFixed = sizes.every((size) => typeof size === 'number');
  if (!isFixed || x.every((_, i) => pass.needs(i)))
    return b.ops('Split', [dY, shapeFrom(pass, sizes)], x.length, { axis });
  let start = 0;
  return sizes.map((size, i) => {
    const [from, to] = [start, start + size];
    start = to;
    return pass.needs(i) ? b.op('Slice', [dY, b.ints([from]), b.ints([to]), b.ints([axis])]) : undefined;
  });
};

/** The parts' gradients side by side; parts that nobody used are zeros, written as the padding of a neighbour. */
export const split: Rule = (pass) => {
  const { b, dYs, x } = pass;
  const rank = pass.rank(x[0]);
  const axis = pass.axis(pass.int('axis', 0), rank);
  const sizes = partSizes(pass, axis);
  const parts: Name[] = [];
  const lead = { size: 0, open: true };
  let lack = 0;
  const flush = () => {
    if (lack + lead.size === 0) return;
    const pads = Array<number>(2 * rank).fill(0);
    [pads[axis], pads[rank + axis]] = [lead.size, lack];
    parts.push(b.op('Pad', [parts.pop(), b.ints(pads)]));
    [lead.size, lack] = [0, 0];
  };
  dYs.forEach((dY, i) => {
    const size = sizes[i];
    if (dY !== undefined) {
      if (parts.length > 0) flush();
      parts.push(dY);
      lead.open = false;
    } else if (typeof size !== 'number') {
      if (parts.length > 0) flush();
      parts.push(filled(pass, extents(pass, x[0]).with(axis, size)));
    } else if (lead.open) lead.size += size;
    else lack += size;
  });
  flush();
  return [parts.length > 1 ? b.op('Concat', parts, { axis }) : parts[0]];
};

/** Sizes of a Split's parts; of absent outputs too. */
function partSizes(pass: Pass, axis: number): Extent[] {
  const given = pass.numbers(1);
  return pass.y.map((name, i) => {
    if (given) return given[i];
    if (name) return extent(pass, name, axis);
    const whole = pass.dims(pass.x[0])[axis];
    if (typeof whole !== 'number' || pass.has(1))
      throw pass.unsupported(`leaves out its output ${i}, whose dims are not known`);
    const part = Math.ceil(whole / pass.y.length);
    return Math.min(part, whole - i * part);
  });
}

export const tile: Rule = (pass) => {
  const { b, dY, x } = pass;
  const repeats = pass.numbers(1);
  const rank = pass.rank(x[0]);
  if (!repeats) {
    const column = (value: Name) => b.op('Unsqueeze', [value, b.ints([1])]);
    const pairs = b.op('Concat', [column(x[1]), column(b.op('Shape', [x[0]]))], { axis: 1 });
    const apart = b.op('Reshape', [dY, b.reshape(pairs, [-1])]);
    const all = Array.from({ length: rank }, (_, i) => 2 * i);
    return [b.reduceSum(apart, all, 0)];
  }
  const items: Extent[] = [];
  const axes: number[] = [];
  repeats.forEach((times, i) => {
    if (times !== 1) {
      axes.push(items.length);
      items.push(times);
    }
    items.push(extent(pass, x[0], i));
  });
  return [axes.length > 0 ? b.reduceSum(reshapeTo(pass, dY, items), axes, 0) : dY];
};

export const trilu: Rule = (pass) => [
  pass.b.op('Trilu', [pass.dY, pass.x[1] || undefined], { upper: pass.int('upper', 1) }),
];

export const reverseSequence: Rule = (pass) => [
  pass.b.op('ReverseSequence', [pass.dY, pass.x[1]], {
    batch_axis: pass.int('batch_axis', 1),
    time_axis: pass.int('time_axis', 0),
  }),
];

/** Cropping and padding around the same centre undo each other. */
export const centerCropPad: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rank = pass.rank(x[0]);
  const axes = pass.ints('axes')?.map((axis) => pass.axis(axis, rank)) ?? pass.dims(x[0]).map((_, i) => i);
  const shape = shapeFrom(
    pass,
    axes.map((axis) => extent(pass, x[0], axis)),
  );
  return [b.op('CenterCropPad', [dY, shape], { axes })];
};

/** Constant padding: dY without its rim (negative pads crop, and where the node cropped, this pads). */
export const pad: Rule = (pass) => {
  const { b, dY, x } = pass;
  const mode = pass.string('mode', 'constant');
  const rank = pass.rank(x[0]);
  const axes =
    pass.numbers(3)?.map((axis) => pass.axis(axis, rank)) ??
    (pass.has(3) ? undefined : pass.dims(x[0]).map((_, i) => i));
  const pads = pass.numbers(1);
  if (mode !== 'constant') return [byCopies(pass, mode, axes, pads)];
  let dX: Name;
  if (pads && axes) {
    const opposite = Array<number>(2 * rank).fill(0);
    axes.forEach((axis, i) => {
      opposite[axis] = -pads[i] || 0;
      opposite[rank + axis] = -pads[i + axes.length] || 0;
    });
    dX = opposite.some((size) => size !== 0) ? b.op('Pad', [dY, b.ints(opposite)]) : dY;
  } else dX = b.op('Pad', [dY, b.neg(x[1]), undefined, x[3] || undefined]);
  if (!pass.needs(2)) return [dX];
  const all = (value: Name) => b.op('ReduceSum', [value], { keepdims: 0 });
  return [dX, undefined, pass.reshapeLike(b.sub(all(dY), all(dX)), x[2])];
};

/**
 * Padding with copies of the values (reflect, edge, wrap): a matrix an axis, which says which value went where.
 * The node's own operator makes it from the identity matrix.
 */
function byCopies(
  pass: Pass,
  mode: string,
  axes: readonly number[] | undefined,
  pads: readonly number[] | undefined,
): Name {
  const { b, x } = pass;
  if (!axes) throw pass.unsupported('has axes that are computed when the model runs');
  const rank = pass.rank(x[0]);
  let dX = pass.dY;
  axes.forEach((axis, i) => {
    const places = [i, i + axes.length];
    if (pads && places.every((place) => pads[place] === 0)) return;
    const ends = pads
      ? b.ints([0, pads[places[0]], 0, pads[places[1]]])
      : b.op('Concat', [b.ints([0]), item(pass, x[1], places[0]), b.ints([0]), item(pass, x[1], places[1])], {
          axis: 0,
        });
    const copies = b.op('Pad', [identityMatrix(pass, extent(pass, x[0], axis)), ends], { mode });
    dX = alongAxis(pass, dX, copies, axis, rank);
  });
  return dX;
}

/** One item of a list, as a list. */
export function item({ b }: Pass, list: Name, place: number): Name {
  return b.op('Slice', [list, b.ints([place]), b.ints([place + 1])]);
}

/** What the operator calls DCR is the inverse of SpaceToDepth; CRD has the channels in another order. */
export const depthToSpace: Rule = (pass) => {
  const { b, dY, x } = pass;
  const blocksize = pass.int('blocksize', 1);
  const blocks = b.op('SpaceToDepth', [dY], { blocksize });
  if (pass.string('mode', 'DCR') === 'DCR') return [blocks];
  const space = extents(pass, x[0], 2);
  const apart = reshapeTo(pass, blocks, [0, blocksize * blocksize, -1, ...space]);
  return [pass.reshapeLike(b.transpose(apart, [0, 2, 1, 3, 4]), x[0])];
};

export const spaceToDepth: Rule = (pass) => [
  pass.b.op('DepthToSpace', [pass.dY], { blocksize: pass.int('blocksize', 1), mode: 'DCR' }),
];
