import { sizeOf } from '../../tensor.js';
import { identityMatrix } from '../axis.js';
import type { Name } from '../../graph/builder.js';
import { extent, extents, reshapeTo, shapeFrom, zerosLike } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { type Coordinate, folding, interpolate, type Mode, type Padding } from './interpolate.js';
import { kernelOf, offsets, type Window, windowOf } from './window.js';

/** The number of pixels along an axis, as a float scalar. */
function sizeAlong(pass: Pass, name: Name, axis: number): Name {
  const { b } = pass;
  const dim = extent(pass, name, axis);
  if (typeof dim === 'number') return b.scalar(dim);
  return b.asFloat(b.op('Squeeze', [shapeFrom(pass, [dim])]));
}

/** Pictures at the points of a grid, which counts the last axis first. Padding is about the pixels that a point reads. */
export const gridSample: Rule = (pass) => {
  const { b, dY, x } = pass;
  const aligned = pass.int('align_corners', 0) === 1;
  const named = pass.string('mode', 'linear');
  const mode = ({ bilinear: 'linear', bicubic: 'cubic' }[named] ?? named) as Mode;
  const padding = pass.string('padding_mode', 'zeros') as Padding;
  const rank = pass.rank(x[0]) - 2;
  const rows = b.ints([0, 0, -1]);
  const points = b.ops('Split', [b.reshape(x[1], [0, -1, rank]), b.ints(Array(rank).fill(1))], rank, {
    axis: 2,
  });
  const coordinates = points.toReversed().map((column, i) => {
    const size = sizeAlong(pass, x[0], i + 2);
    const half = b.scale(aligned ? b.sub(size, b.scalar(1)) : size, 0.5); // pixels per unit
    const at = b.mul(b.add(b.reshape(column, [0, 1, -1]), b.scalar(1)), half);
    return { size, half, at: aligned ? at : b.sub(at, b.scalar(0.5)) };
  });
  const image = b.op('Reshape', [x[0], rows]);
  const sampled = interpolate(pass, image, coordinates, mode, folding(pass, padding, aligned));
  const values = b.op('Reshape', [dY, rows]);
  const dX = pass.needs(0)
    ? pass.reshapeLike(sampled.dImage(values, b.op('Reshape', [zerosLike(pass, x[0]), rows])), x[0])
    : undefined;
  if (!pass.needs(1)) return [dX];
  const parts = sampled.dCoordinates(values).map((d, i) => d && b.mul(d, coordinates[i].half));
  if (parts.includes(undefined)) return [dX, zerosLike(pass, x[1])];
  const joined = b.op('Concat', (parts as Name[]).toReversed(), { axis: 1 });
  return [dX, pass.reshapeLike(b.transpose(joined, [0, 2, 1]), x[1])];
};

/** grid = theta · (x, y, 1): what the operator makes of theta = identity are the points themselves. */
export const affineGrid: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const rank = pass.rank(y[0]) - 2;
  const identity = b.floats(
    Array.from({ length: rank * (rank + 1) }, (_, i) => (i % (rank + 2) === 0 ? 1 : 0)),
    [1, rank, rank + 1],
  );
  const size = b.op('Concat', [b.ints([1]), b.op('Slice', [x[1], b.ints([1]), b.ints([rank + 2])])], {
    axis: 0,
  });
  const grid = b.op('AffineGrid', [identity, size], { align_corners: pass.int('align_corners', 0) });
  const points = b.op('Pad', [b.reshape(grid, [1, -1, rank]), b.ints([0, 0, 0, 0, 0, 1]), b.scalar(1)]);
  return [b.op('MatMul', [b.transpose(b.reshape(dY, [0, -1, rank]), [0, 2, 1]), points])];
};

/** Adding blocks up is undone by cutting them out: a convolution with one kernel a position in the block. */
export const col2im: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const block = pass.numbers(2);
  if (!block) throw pass.unsupported('has a block shape that is computed when the model runs');
  const count = sizeOf(block);
  const kernel = b.reshape(identityMatrix(pass, count), [count, 1, ...block]);
  const attributes = Object.fromEntries(
    ['pads', 'strides', 'dilations'].flatMap((name) => {
      const value = pass.ints(name);
      return value ? [[name, value]] : [];
    }),
  );
  const pictures = reshapeTo(pass, dY, [-1, 1, ...extents(pass, y[0], 2)]);
  return [pass.reshapeLike(b.op('Conv', [pictures, kernel], attributes), x[0])];
};

/**
 * A convolution whose window has each pixel displaced: the displaced pixels are interpolated (0 outside), weighted
 * by the mask, and multiplied by the weights as columns. One picture per offset group, all taps' points side by side.
 */
export const deformConv: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  const window = windowOf(pass, kernelOf(pass, 1));
  if (window.rank !== 2) throw pass.unsupported('is not two-dimensional');
  const taps = sizeOf(window.kernel);
  const group = pass.int('group', 1);
  const [outputs, inputs] = pass.sizes(x[1]);
  const space = extents(pass, y[0], 2);
  const pictures = reshapeTo(pass, x[0], [
    -1,
    (inputs * group) / pass.int('offset_group', 1),
    ...extents(pass, x[0], 2),
  ]);
  const rows = b.ints([0, 0, -1]);
  const image = b.op('Reshape', [pictures, rows]);
  const sampled = interpolate(
    pass,
    image,
    displaced(pass, window, taps),
    'linear',
    folding(pass, 'zeros', true),
  );
  const values = sampled.values();
  const mask = pass.has(4) ? b.reshape(reshapeTo(pass, x[4], [-1, taps, ...space]), [0, 1, -1]) : undefined;
  const batch = extent(pass, x[0], 0);
  const columns = reshapeTo(pass, mask ? b.mul(values, mask) : values, [batch, group, inputs * taps, -1]);
  const dColumns = reshapeTo(pass, dY, [batch, group, outputs / group, -1]);
  const weights = b.reshape(x[1], [group, outputs / group, inputs * taps]);
  const arrived = b.op('Reshape', [
    b.op('MatMul', [b.transpose(weights, [0, 2, 1]), dColumns]),
    b.op('Shape', [values]),
  ]);
  const dValues = mask ? b.mul(arrived, mask) : arrived;
  const dX = sampled.dImage(
    dValues,
    b.op('Reshape', [b.op('Reshape', [zerosLike(pass, x[0]), b.op('Shape', [pictures])]), rows]),
  );
  const dW = b.reduceSum(b.op('MatMul', [dColumns, b.transpose(columns, [0, 1, 3, 2])]), [0], 0);
  const dOffsets = sampled.dCoordinates(dValues).map((d) => b.reshape(d as Name, [0, taps, 1, -1]));
  return [
    pass.reshapeLike(dX, x[0]),
    pass.reshapeLike(dW, x[1]),
    pass.reshapeLike(b.op('Concat', dOffsets, { axis: 2 }), x[2]),
    b.reduceSum(dY, [0, 2, 3], 0),
    mask && pass.reshapeLike(b.reduceSum(b.mul(arrived, values), [1]), x[4]),
  ];
};

/** Where every tap of every window looks: its regular place plus its offset, row and column apart. */
function displaced(pass: Pass, window: Window, taps: number): Coordinate[] {
  const { b, x, y } = pass;
  const { kernel, strides, dilations, begin } = window;
  const space = extents(pass, y[0], 2);
  const apart = reshapeTo(pass, x[2], [-1, taps, 2, ...space]);
  const offset = b.ops('Split', [apart, b.ints([1, 1])], 2, { axis: 2 });
  return [0, 1].map((axis) => {
    const count = b.op('Squeeze', [shapeFrom(pass, [space[axis]])]);
    const steps = b.asFloat(b.op('Range', [b.int(0), count, b.int(1)]));
    const line = b.reshape(b.scale(steps, strides[axis]), [1, 1, 1, ...(axis === 0 ? [-1, 1] : [1, -1])]);
    const places = Array.from(
      { length: taps },
      (_, tap) => offsets(tap, kernel)[axis] * dilations[axis] - begin[axis],
    );
    const at = b.add(offset[axis], b.add(line, b.floats(places, [1, taps, 1, 1, 1])));
    return { at: b.reshape(at, [0, 1, -1]), size: sizeAlong(pass, x[0], axis + 2) };
  });
}
