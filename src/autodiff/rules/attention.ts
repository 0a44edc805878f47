import { isFloat } from '../../onnx/types.js';
import type { Name } from '../../graph/builder.js';
import { extent, extents, reshapeTo, shapeFrom, zerosLike } from '../extent.js';
import type { Pass, Rule } from '../rule.js';
import { unbroadcast } from '../unbroadcast.js';

/**
 * Y = P·V with P = softmax(softcap(scale·Q·Kᵀ) + mask), heads apart, keys and values behind those of the past; a head
 * of K and V serves as many heads of Q as there are more of them. The node itself gives P, masks and all
 * (qk_matmul_output_mode 3).
 */
export const attention: Rule = (pass) => {
  const { b, dYs, x } = pass;
  const queries = headsOf(pass, x[0], 'q_num_heads');
  const keyHeads = headsOf(pass, x[1], 'kv_num_heads');
  const valueHeads = headsOf(pass, x[2], 'kv_num_heads');
  const share = queries.count / keyHeads.count;
  const query = split(pass, x[0], queries);
  const keys = repeated(pass, withPast(pass, split(pass, x[1], keyHeads), 4), keyHeads, share);
  const values = repeated(pass, withPast(pass, split(pass, x[2], valueHeads), 5), valueHeads, share);
  const scale = b.scalar(pass.float('scale', 1 / Math.sqrt(queries.width)));
  const [dY, dKeyOut, dValueOut, dScores] = dYs;
  const mode = pass.int('qk_matmul_output_mode', 0);
  const given = (stage: number) => (mode === stage ? dScores : undefined);
  const P = probabilities(pass);

  const dOut = dY && split(pass, dY, { count: queries.count, width: valueHeads.width });
  const dP = total(pass, [dOut && b.op('MatMul', [dOut, b.transpose(values, swapLast)]), given(3)]);
  const along = dP && b.reduceSum(b.mul(dP, P), [-1]);
  const dMasked = total(pass, [dP && along && b.mul(P, b.sub(dP, along)), given(2)]);
  const dCapped = total(pass, [dMasked, given(1)]);
  const scores = () => b.mul(b.op('MatMul', [query, b.transpose(keys, swapLast)]), scale);
  const dS = total(pass, [dCapped && throughCap(pass, dCapped, scores), given(0)]);
  const dLogits = dS && b.mul(dS, scale);

  const byKey = dLogits && b.op('MatMul', [b.transpose(dLogits, swapLast), query]);
  const byValue = dOut && b.op('MatMul', [b.transpose(P, swapLast), dOut]);
  const dKey = total(pass, [byKey && summed(pass, byKey, keyHeads, share), dKeyOut]);
  const dValue = total(pass, [byValue && summed(pass, byValue, valueHeads, share), dValueOut]);
  const [dPastKey, dNewKey] = splitPast(pass, dKey, 4);
  const [dPastValue, dNewValue] = splitPast(pass, dValue, 5);
  return [
    dLogits && merged(pass, b.op('MatMul', [dLogits, keys])),
    dNewKey && merged(pass, dNewKey),
    dNewValue && merged(pass, dNewValue),
    dMasked && maskGradient(pass, dMasked, queries.count),
    dPastKey,
    dPastValue,
  ];
};

const swapLast = [0, 1, 3, 2];
const swapHeads = [0, 2, 1, 3];

function total({ b }: Pass, parts: readonly (Name | undefined)[]): Name | undefined {
  const present = parts.filter((part) => part !== undefined);
  return present.length > 1 ? b.op('Sum', present) : present[0];
}

interface Heads {
  readonly count: number;
  /** Numbers a head has for a position. */
  readonly width: number;
}

function headsOf(pass: Pass, name: Name, attribute: string): Heads {
  const rank = pass.rank(name);
  const [last] = pass.sizes(name, rank - 1);
  if (rank === 3) {
    const count = pass.int(attribute, 1);
    return { count, width: last / count };
  }
  const [, count] = pass.dims(name);
  if (typeof count !== 'number') throw pass.unsupported('has a number of heads that is not known');
  return { count, width: last };
}

/** [N, heads, length, width] of either form. */
function split(pass: Pass, value: Name, { count, width }: Heads): Name {
  const { b, x } = pass;
  return pass.rank(x[0]) === 4 ? value : b.transpose(b.reshape(value, [0, 0, count, width]), swapHeads);
}

/** Back to the form of the inputs. */
function merged(pass: Pass, value: Name): Name {
  const { b, x } = pass;
  return pass.rank(x[0]) === 4 ? value : b.reshape(b.transpose(value, swapHeads), [0, 0, -1]);
}

/**
 * P [N, heads, length, keys], of the same node where its fourth output is free. ONNX Runtime takes a number of keys
 * that is not fixed for 0 there.
 */
function probabilities(pass: Pass): Name {
  for (const input of [1, 4]) if (pass.has(input)) pass.sizes(pass.x[input], pass.rank(pass.x[input]) - 2);
  const mode = { qk_matmul_output_mode: 3 };
  if (!pass.y[3] || pass.int('qk_matmul_output_mode', 0) === 3) return pass.extraOutput(3, mode);
  return pass.again(mode, 4)[3];
}

/** softcap·tanh(s/softcap): the slope is 1 − tanh². */
function throughCap(pass: Pass, dS: Name, scores: () => Name): Name {
  const { b } = pass;
  const cap = pass.float('softcap', 0);
  if (cap === 0) return dS;
  const t = b.op('Tanh', [b.scale(scores(), 1 / cap)]);
  return b.mul(dS, b.from(1, b.square(t)));
}

/** Each head `share` times, side by side. */
function repeated({ b }: Pass, value: Name, { count, width }: Heads, share: number): Name {
  if (share === 1) return value;
  const copies = b.op('Expand', [b.op('Unsqueeze', [value, b.ints([2])]), b.ints([1, 1, share, 1, 1])]);
  return b.reshape(copies, [0, count * share, -1, width]);
}

function summed({ b }: Pass, gradient: Name, { count, width }: Heads, share: number): Name {
  if (share === 1) return gradient;
  return b.reduceSum(b.reshape(gradient, [0, count, share, -1, width]), [2], 0);
}

function withPast(pass: Pass, value: Name, past: 4 | 5): Name {
  return pass.has(past) ? pass.b.op('Concat', [pass.x[past], value], { axis: 2 }) : value;
}

/** The parts of past and new keys or values. */
function splitPast(pass: Pass, dX: Name | undefined, past: 4 | 5): (Name | undefined)[] {
  const { b, x } = pass;
  if (!dX || !pass.has(past)) return [undefined, dX];
  const fresh = x[past - 3];
  const length = pass.rank(fresh) === 3 ? extent(pass, fresh, 1) : extent(pass, fresh, 2);
  return b.ops('Split', [dX, shapeFrom(pass, [extent(pass, x[past], 2), length])], 2, { axis: 2 });
}

/** Of a float mask, which was broadcast, and filled up where it ends before the keys do. */
function maskGradient(pass: Pass, dS: Name, queryHeads: number): Name | undefined {
  const { b, x } = pass;
  const type = pass.has(3) ? pass.type(x[3]) : undefined;
  if (type === undefined || !isFloat(type) || !pass.needs(3)) return undefined;
  const own = pass.dims(x[3]);
  const last = own.length - 1;
  const [N] = pass.dims(x[0]);
  const length = pass.dims(x[0])[pass.rank(x[0]) - 2];
  const keys = shapeFrom(pass, [extent(pass, x[3], last)]);
  const cut = own[last] === 1 ? dS : b.op('Slice', [dS, b.ints([0]), keys, b.ints([3])]);
  return unbroadcast(pass, cut, x[3], [N, queryHeads, length, own[last] === 1 ? '' : own[last]]);
}

/** The rotation back. Where cos and sin are wanted: summed over heads, and added up where positions repeat. */
export const rotaryEmbedding: Rule = (pass) => {
  const { b, dY, x, node } = pass;
  const back = Object.fromEntries(node.attributes);
  const dX = pass.needs(0) ? b.op('RotaryEmbedding', [dY, x[1], b.neg(x[2]), x[3]], back) : undefined;
  if (!pass.needs(1) && !pass.needs(2)) return [dX];
  const [first, second] = halves(pass, x[0]);
  const [dFirst, dSecond] = halves(pass, dY);
  const dCos = b.add(b.mul(dFirst, first), b.mul(dSecond, second));
  const dSin = b.sub(b.mul(dSecond, first), b.mul(dFirst, second));
  return [dX, ...[dCos, dSin].map((value, i) => cacheGradient(pass, value, x[i + 1]))];
};

/** The two parts that rotate into each other, [N, length, heads, half] each. */
function halves(pass: Pass, value: Name): readonly [Name, Name] {
  const { b, x } = pass;
  const heads = pass.int('num_heads', 0);
  const byHead = pass.rank(x[0]) === 4 ? b.transpose(value, swapHeads) : b.reshape(value, [0, 0, heads, -1]);
  const half = pass.sizes(x[1], pass.rank(x[1]) - 1)[0];
  const rotated = b.op('Slice', [byHead, b.ints([0]), b.ints([2 * half]), b.ints([3])]);
  const interleaved = pass.int('interleaved', 0) === 1;
  const pairs = b.reshape(rotated, interleaved ? [0, 0, 0, half, 2] : [0, 0, 0, 2, half]);
  const axis = interleaved ? 4 : 3;
  const parts = b.ops('Split', [pairs, b.ints([1, 1])], 2, { axis });
  const [first, second] = parts.map((part) => b.op('Squeeze', [part, b.ints([axis])]));
  return [first, second];
}

/** [N, length, heads, half] → the cache: by position, or one row a position id. */
function cacheGradient(pass: Pass, value: Name, cache: Name): Name {
  const { b, x } = pass;
  const rows = b.reduceSum(value, [2], 0);
  if (!pass.has(3)) return rows;
  const half = extents(pass, cache, 1);
  const flat = reshapeTo(pass, rows, [-1, ...half]);
  const places = b.op('Expand', [b.reshape(x[3], [-1, 1]), b.op('Shape', [flat])]);
  return b.op('ScatterElements', [zerosLike(pass, cache), places, flat], { axis: 0, reduction: 'add' });
}
