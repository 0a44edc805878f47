import { sizeOf } from '../../tensor.js';
import { identityMatrix } from '../axis.js';
import type { Name } from '../../graph/builder.js';
import { type Extent, extent, extents, filled, reshapeTo, shapeFrom, zerosLike } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { isUnit, reach, spatialAxes, type Window, windowOf } from './window.js';

/**
 * All of dY to the position that won; the first maximum in row-major order wins a tie, as in ONNX Runtime and PyTorch.
 *
 * In general the node's indices tell where: ScatterElements, whose kernel adds serially (ScatterND with reduction=add
 * loses updates when it runs on several threads). Asking for indices makes ONNX Runtime's pooling several times as slow,
 * so where square windows lie side by side comparisons tell instead. For windows that overlap comparisons gain nothing on
 * several threads.
 */
export const maxPool: Rule = (pass) => {
  const { b, dY, x } = pass;
  const block = blockOf(pass);
  if (block) return [toFirstMaximum(pass, block)];
  const indices = pass.extraOutput(1, { storage_order: 0 });
  const flat = b.ints([-1]);
  const zeros = b.op('Reshape', [zerosLike(pass, x[0]), flat]);
  const scattered = b.op(
    'ScatterElements',
    [zeros, b.op('Reshape', [indices, flat]), b.op('Reshape', [dY, flat])],
    { axis: 0, reduction: 'add' },
  );
  return [pass.reshapeLike(scattered, x[0])];
};

/** Width of square windows that lie side by side in a picture of known size, and nothing else. */
function blockOf(pass: Pass): number | undefined {
  if (pass.rank(pass.x[0]) !== 4 || !pass.isStatic(pass.x[0], 2) || pass.node.outputs[1]) return undefined;
  const window = windowOf(pass, pass.ints('kernel_shape') ?? []);
  const { kernel, strides, dilations, begin, end } = window;
  const isTiling =
    kernel[0] <= 4 && // beyond, too many comparisons
    [...kernel, ...strides].every((size) => size === kernel[0]) &&
    isUnit(dilations) &&
    [...begin, ...end].every((pad) => pad === 0) &&
    fits(pass, window);
  return isTiling ? kernel[0] : undefined;
}

/** The picture as k² pictures of one position in the windows each; the first that equals the maximum takes dY. */
function toFirstMaximum(pass: Pass, k: number): Name {
  const { b, dY, x, y } = pass;
  const sizes = pass.sizes(y[0], 2);
  const rest = pass.sizes(x[0], 2).map((size, i) => sizes[i] * k - size);
  const pads = (sign: number) => b.ints([0, 0, 0, 0, 0, 0, ...rest.map((size) => sign * size || 0)]);
  const isWhole = rest.every((size) => size === 0);
  const whole = isWhole ? x[0] : b.op('Pad', [x[0], pads(1)]);
  const count = k * k;
  const apart = b.reshape(b.op('SpaceToDepth', [whole], { blocksize: k }), [0, count, -1, ...sizes]);
  const column = (value: Name) => b.op('Unsqueeze', [value, b.ints([1])]);
  const equal = b.op('Equal', [apart, column(y[0])]);
  const each =
    count > 1 ? b.ops('Split', [equal, b.ints(Array(count).fill(1))], count, { axis: 1 }) : [equal];
  let found = each[0];
  const first = each.map((mask, i) => {
    if (i === 0) return mask;
    const own = b.op('And', [mask, b.op('Not', [found])]);
    if (i < count - 1) found = b.op('Or', [found, mask]);
    return own;
  });
  const mask = count > 1 ? b.op('Concat', first, { axis: 1 }) : equal;
  const shares = reshapeTo(pass, b.masked(mask, column(dY)), [0, -1, ...sizes]);
  const dX = b.op('DepthToSpace', [shares], { blocksize: k });
  return isWhole ? dX : b.op('Pad', [dX, pads(-1)]);
}

/** Values go back to where the indices, which count through the whole output, had put them. */
export const maxUnpool: Rule = (pass) => {
  const { b, dY, x } = pass;
  return [b.op('Gather', [b.op('Reshape', [dY, b.ints([-1])]), x[1]], { axis: 0 })];
};

/** Whether the window is as large as the input. */
function coversAll(pass: Pass, kernel: readonly number[]): boolean {
  return pass.isStatic(pass.x[0], 2) && pass.sizes(pass.x[0], 2).every((size, i) => size === kernel[i]);
}

export const averagePool: Rule = (pass) => {
  const { b, dY } = pass;
  const window = windowOf(pass, pass.ints('kernel_shape') ?? []);
  const { kernel, strides, dilations, begin, end } = window;
  const padded = pass.int('count_include_pad', 0) === 1;
  const whole = [...begin, ...end].every((pad) => pad === 0);
  // A single window is a mean over the picture, whose gradient other stages know to be one number a channel.
  if (whole && isUnit(dilations) && coversAll(pass, kernel))
    return [pass.expandLike(b.scale(dY, 1 / sizeOf(kernel)), pass.x[0], pass.dims(pass.y[0]))];
  if (whole && isUnit(dilations) && kernel.every((k, i) => k === strides[i]) && fits(pass, window))
    return [tiled(pass, b.scale(dY, 1 / sizeOf(kernel)), kernel)];
  if (isUnit(strides) && isUnit(dilations) && (padded || whole)) {
    const mirrored = (pads: readonly number[]) => pads.map((pad, i) => kernel[i] - 1 - pad);
    const pads = [...mirrored(begin), ...mirrored(end)];
    if (pads.every((pad, i) => pad >= 0 && pad < kernel[i % kernel.length]))
      return [b.op('AveragePool', [dY], { kernel_shape: kernel, pads, count_include_pad: 1 })];
  }
  return [spread(pass, b.mul(dY, cellShare(pass, window, padded)), window)];
};

/** Whether no window reaches beyond the padded input, as ceil_mode allows. */
function fits(pass: Pass, window: Window): boolean {
  if (pass.int('ceil_mode', 0) === 0) return true;
  if (!pass.isStatic(pass.x[0], 2)) return false;
  const from = pass.sizes(pass.x[0], 2);
  const to = pass.sizes(pass.y[0], 2);
  const length = reach(window);
  return from.every(
    (size, i) => (to[i] - 1) * window.strides[i] + length[i] + 1 <= size + window.begin[i] + window.end[i],
  );
}

/** Every value repeated over its k × k cells: nearest-neighbour enlargement, and zeros for what no window covered. */
function tiled(pass: Pass, value: Name, kernel: readonly number[]): Name {
  const { b, x, y } = pass;
  const scales = b.constant({
    type: 1,
    dims: [kernel.length + 2],
    bytes: new Uint8Array(Float32Array.of(1, 1, ...kernel).buffer),
  });
  const repeated = b.op('Resize', [value, undefined, scales], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  });
  if (!pass.isStatic(x[0], 2) || !pass.isStatic(y[0], 2)) {
    const missing = b.sub(b.op('Shape', [x[0]]), b.op('Shape', [repeated]));
    const none = b.ints(pass.dims(x[0]).map(() => 0));
    return b.op('Pad', [repeated, b.op('Concat', [none, missing], { axis: 0 })]);
  }
  const to = pass.sizes(y[0], 2);
  const missing = pass.sizes(x[0], 2).map((size, i) => size - to[i] * kernel[i]);
  if (missing.every((size) => size === 0)) return repeated;
  return b.op('Pad', [repeated, b.ints([0, 0, ...kernel.map(() => 0), 0, 0, ...missing])]);
}

/** More positions than this are counted when the model runs. */
const mostListed = 2 ** 20;

/** 1 / (cells counted) at every output position, [1, 1, ...]. */
function cellShare(pass: Pass, window: Window, padded: boolean): Name {
  const { b } = pass;
  const { kernel, strides, dilations, begin, end } = window;
  const isFixed = pass.isStatic(pass.x[0], 2) && pass.isStatic(pass.y[0], 2);
  if (!isFixed || sizeOf(pass.sizes(pass.y[0], 2)) > mostListed)
    return b.op('Reciprocal', [cellCount(pass, window, padded)]);
  const from = pass.sizes(pass.x[0], 2);
  const to = pass.sizes(pass.y[0], 2);
  const counts = from.map((size, axis) =>
    Array.from({ length: to[axis] }, (_, o) => {
      let count = 0;
      for (let k = 0; k < kernel[axis]; k++) {
        const position = o * strides[axis] - begin[axis] + k * dilations[axis];
        const inside = padded ? position < size + end[axis] : position >= 0 && position < size;
        if (inside) count++;
      }
      return count;
    }),
  );
  let products = [1];
  for (const axis of counts) products = products.flatMap((product) => axis.map((count) => product * count));
  return b.floats(
    products.map((product) => 1 / product),
    [1, 1, ...to],
  );
}

/** The same for dims that are known when the model runs: ones, added up by the window. */
function cellCount(
  pass: Pass,
  { rank, kernel, strides, dilations, begin, end }: Window,
  padded: boolean,
): Name {
  const { b, x, y } = pass;
  const isCeil = pass.int('ceil_mode', 0) === 1;
  const cells = filled(pass, [1, 1, ...extents(pass, x[0], 2)], 1);
  const pads = b.ints([0, 0, ...begin, 0, 0, ...end]);
  const counted = padded ? b.op('Pad', [cells, pads, b.scalar(1)]) : b.op('Pad', [cells, pads]);
  const beyond = strides.map((stride) => (isCeil ? stride - 1 : 0));
  const counts = b.op('Conv', [counted, ones(pass, kernel)], {
    strides,
    dilations,
    pads: [...begin.map(() => 0), ...beyond],
  });
  if (!isCeil) return counts;
  const axes = spatialAxes(rank);
  return b.op('Slice', [
    counts,
    b.ints(axes.map(() => 0)),
    b.op('Shape', [y[0]], { start: 2 }),
    b.ints(axes),
  ]);
}

function ones({ b }: Pass, kernel: readonly number[]): Name {
  return b.floats(new Float32Array(sizeOf(kernel)).fill(1), [1, 1, ...kernel]);
}

/** Adds each value onto the cells of its window: a transposed convolution with ones, channel by channel. */
function spread(pass: Pass, value: Name, window: Window): Name {
  const { b, x, y } = pass;
  const { rank, kernel, strides, dilations, begin } = window;
  const single = reshapeTo(pass, value, [-1, 1, ...extents(pass, y[0], 2)]);
  if (pass.isStatic(x[0], 2) && pass.isStatic(y[0], 2)) {
    const full = b.op('ConvTranspose', [single, ones(pass, kernel)], { strides, dilations });
    const from = pass.sizes(x[0], 2);
    const length = reach(window);
    const made = pass.sizes(y[0], 2).map((size, i) => (size - 1) * strides[i] + length[i] + 1);
    const lack = made.map((size, i) => from[i] + begin[i] - size);
    const pads = [0, 0, ...begin.map((pad) => -pad), 0, 0, ...lack];
    const cut = pads.some((pad) => pad !== 0) ? b.op('Pad', [full, b.ints(pads)]) : full;
    return pass.reshapeLike(cut, x[0]);
  }
  const full = b.op('ConvTranspose', [single, ones(pass, kernel)], {
    strides,
    dilations,
    output_padding: strides.map((stride) => stride - 1),
  });
  const axes = spatialAxes(rank);
  const ends = b.add(b.op('Shape', [x[0]], { start: 2 }), b.ints(begin));
  return pass.reshapeLike(b.op('Slice', [full, b.ints(begin), ends, b.ints(axes)]), x[0]);
}

/** y = (Σ |x|ᵖ)^(1/p): dX = sign(x)·|x|^(p−1) · dY·y^(1−p), the latter given to every cell of its window. */
function powerGradient(pass: Pass, give: (value: Name) => Name): Name {
  const { b, dY, x, y } = pass;
  const p = pass.int('p', 2);
  const sign = () => b.op('Sign', [x[0]]);
  if (p === 1) return b.mul(sign(), give(dY));
  const isZero = b.asFloat(b.op('Equal', [y[0], b.zero()])); // there all x are 0, and so is dX
  const raise = (value: Name, power: number) => b.op('Pow', [value, b.scalar(power)]);
  const share = b.div(dY, p === 2 ? b.add(y[0], isZero) : raise(b.add(y[0], isZero), p - 1));
  if (p === 2) return b.mul(x[0], give(share));
  return b.mul(b.mul(sign(), raise(b.op('Abs', [x[0]]), p - 1)), give(share));
}

export const lpPool: Rule = (pass) => {
  const window = windowOf(pass, pass.ints('kernel_shape') ?? []);
  return [powerGradient(pass, (value) => spread(pass, value, window))];
};

export const globalLpPool: Rule = (pass) => [powerGradient(pass, (value) => value)];

/** dY / (cells), spread over the picture. */
export const globalAveragePool: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  if (!pass.isStatic(x[0], 2)) {
    const count = b.op('ReduceProd', [b.op('Shape', [x[0]], { start: 2 })], { keepdims: 0 });
    return [pass.expandLike(b.div(dY, b.asFloat(count)), x[0], pass.dims(y[0]))];
  }
  const share = 1 / sizeOf(pass.sizes(x[0], 2));
  return [pass.expandLike(b.scale(dY, share), x[0], pass.dims(y[0]))];
};

/** All of dY to the first maximum. */
export const globalMaxPool: Rule = (pass) => {
  const { b, dY, x } = pass;
  const rows = b.ints([0, 0, -1]);
  const winner = b.op('ArgMax', [b.op('Reshape', [x[0], rows])], { axis: 2, keepdims: 1 });
  const zeros = b.op('Reshape', [zerosLike(pass, x[0]), rows]);
  const scattered = b.op('ScatterElements', [zeros, winner, b.op('Reshape', [dY, rows])], { axis: 2 });
  return [pass.reshapeLike(scattered, x[0])];
};

/** What each position adds to each bin is a matrix with as many rows. */
const mostPositions = 4096;

/**
 * Averages over regions are linear in the picture. What each position adds to each bin comes from the operator
 * itself, applied to pictures of a single one: [regions, positions, bins]. The regions' corners get no gradient.
 */
export const roiAlign: Rule = (pass) => {
  const { b, dY, x, y } = pass;
  if (pass.string('mode', 'avg') !== 'avg') throw pass.unsupported('takes the maximum over its samples');
  const [height, width] = pass.sizes(x[0], 2);
  const positions = height * width;
  if (positions > mostPositions)
    throw pass.unsupported(
      `looks at ${positions} positions, more than the ${mostPositions} that are followed`,
    );
  const [regions, channels, rows, columns] = [0, 1, 2, 3].map((axis) => extent(pass, y[0], axis));
  const pictures = b.reshape(identityMatrix(pass, positions), [1, positions, height, width]);
  const first = b.mul(x[2], b.int(0));
  const attributes = Object.fromEntries(pass.node.attributes);
  const weights = b.op('RoiAlign', [pictures, x[1], first], attributes);
  const bins: Extent[] = typeof rows === 'number' && typeof columns === 'number' ? [rows * columns] : [-1];
  const flat = b.transpose(reshapeTo(pass, weights, [regions, positions, ...bins]), [0, 2, 1]);
  const matrix = b.reshape(flat, [-1, positions]);
  const count = b.op('Squeeze', [shapeFrom(pass, [extent(pass, x[0], 0)])]);
  const numbers = b.op('Range', [b.int(0), count, b.int(1)]);
  const own = b.asFloat(b.op('Equal', [b.reshape(numbers, [-1, 1]), b.reshape(x[2], [1, -1])]));
  const values = b.transpose(reshapeTo(pass, dY, [regions, channels, ...bins]), [1, 0, 2]);
  const mask = b.op('Unsqueeze', [own, b.ints([1, 3])]); // [pictures, 1, regions, 1]
  const chosen = b.mul(mask, values);
  const dX = b.op('MatMul', [reshapeTo(pass, chosen, [0, 0, -1]), matrix]);
  return [pass.reshapeLike(dX, x[0])];
};
