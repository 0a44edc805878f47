// Damages model files: flipped bytes, cut ends, lengths that lie, parts taken out or doubled; and models that are well
// stored but make no sense: nodes without order, names, types, dims and attributes of others.
import { crc32 } from 'node:zlib';

/** A small random number generator (mulberry32): the same seed, the same damage. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const kinds = ['flip', 'truncate', 'length', 'take out', 'double', 'zero'];

/** @returns {{ kind: string, bytes: Uint8Array }} */
export function mutate(original, seed) {
  const random = randomFrom(seed);
  const below = (limit) => Math.floor(random() * limit);
  const kind = kinds[below(10) < 5 ? 0 : below(kinds.length)];
  const bytes = Uint8Array.from(original);
  const at = below(bytes.length);
  const span = 1 + below(Math.min(64, bytes.length - at));
  switch (kind) {
    case 'flip':
      for (let i = below(8); i >= 0; i--) bytes[below(bytes.length)] ^= 1 << below(8);
      return { kind, bytes };
    case 'truncate':
      return { kind, bytes: bytes.subarray(0, at) };
    case 'length':
      // Where a length is likely (a small number), a huge one: continuation bits and ones.
      for (let i = at; i < Math.min(at + 2 + below(4), bytes.length); i++) bytes[i] = 0xff;
      return { kind, bytes };
    case 'take out':
      return { kind, bytes: Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + span)]) };
    case 'double':
      return { kind, bytes: Buffer.concat([bytes.subarray(0, at + span), bytes.subarray(at)]) };
    default:
      bytes.fill(0, at, at + span);
      return { kind, bytes };
  }
}

/** The same to a picture, so that damage reaches what is behind a PNG's checksums. @returns {{ kind: string, bytes: Uint8Array }} */
export function mutatePicture(original, seed) {
  const { kind, bytes } = mutate(original, seed);
  return { kind, bytes: bytes[0] === 0x89 && kind !== 'truncate' ? repairChecksums(bytes) : bytes };
}

function repairChecksums(bytes) {
  const view = Buffer.from(bytes);
  for (let at = 8; at + 12 <= view.length; ) {
    const end = at + 8 + view.readUInt32BE(at);
    if (end + 4 > view.length) break;
    view.writeUInt32BE(crc32(view.subarray(at + 4, end)), end);
    at = end + 4;
  }
  return view;
}

/** The same to a model, of which every third stays well stored. @returns {{ kind: string, bytes: Uint8Array }} */
export function mutateModel(original, seed, { decode, encode }) {
  if (seed % 3 !== 0) return mutate(original, seed);
  const proto = decode(original);
  const kind = rearrange(proto, seed);
  return { kind, bytes: encode(proto) };
}

export const changes = ['order', 'input', 'output', 'operator', 'attribute', 'value', 'dims', 'type', 'drop', 'repeat', 'name'];

/** Numbers that somebody may not have thought of. */
const numbers = [0n, -1n, 1n, 2n, 7n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 31n, 1_000_000n];
const names = ['', 'x0', 'y0', 'nowhere', '\u001b[31mred', 'a\nb', '\u202eright', '\u009b', 'seed', 'd/'];

/** Changes a model in place, several times. @returns what was done */
export function rearrange(proto, seed) {
  const random = randomFrom(seed);
  const below = (limit) => Math.floor(random() * limit);
  const pick = (list) => list[below(list.length)];
  const { graph } = proto;
  const done = [];
  for (let i = below(3); i >= 0; i--) {
    const kind = pick(changes);
    const node = pick(graph.node);
    const other = pick(graph.node);
    const info = pick([...graph.input, ...graph.output]);
    const tensor = info?.type?.value?.value;
    done.push(kind);
    if (!node) continue;
    if (kind === 'order') graph.node.reverse();
    if (kind === 'input') node.input[below(node.input.length + 1)] = pick([...other.output, ...names]);
    if (kind === 'output') node.output[below(node.output.length + 1)] = pick([...other.output, ...names]);
    if (kind === 'operator') [node.opType, node.domain] = [pick([other.opType, 'Relu', 'QGemm', 'Nothing', 'Softmax', 'ZipMap']), pick(['', '', '', 'com.microsoft', 'ai.onnx.ml'])];
    if (kind === 'attribute') node.attribute.push(...other.attribute.slice(0, 1));
    if (kind === 'value' && node.attribute.length > 0) {
      const attribute = pick(node.attribute);
      attribute.i = pick(numbers);
      attribute.f = pick([Number.NaN, Number.POSITIVE_INFINITY, -1, 1e38]);
      if (attribute.ints.length > 0) attribute.ints[below(attribute.ints.length)] = pick(numbers);
    }
    if (kind === 'dims' && tensor?.shape) tensor.shape.dim = below(3) === 0 ? [] : tensor.shape.dim.slice(below(3));
    if (kind === 'type' && tensor) tensor.elemType = below(17);
    if (kind === 'drop') graph.node.splice(graph.node.indexOf(node), 1);
    if (kind === 'repeat') graph.node.push(node);
    if (kind === 'name') node.name = pick(names);
  }
  return done.join(' ');
}
