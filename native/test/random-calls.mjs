// Random calls of the addon against the reference backend, for runs under sanitizers:
//   node native/test/random-calls.mjs [calls] [addon file]      (after npm run build)
// Dims, methods, offsets into larger arrays, thread counts and instruction sets are random; the seed is fixed.
import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { argv } from 'node:process';
import { mapMethods } from '../../dist/map/backend.js';
import { openNative } from '../../dist/map/native.js';
import { computeReference } from '../../dist/map/reference.js';

const calls = Number(argv[2] ?? 10_000);
const addon = createRequire(import.meta.url)(resolve(argv[3] ?? 'build/Release/gradcampp.node'));

let state = 1;
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}
const whole = (from, to) => from + Math.floor(random() * (to - from + 1));

/** Numbers somewhere inside a larger array of NaN: what is read beside them shows. */
function floats(length, shift) {
  const before = whole(0, 5);
  const around = new Float32Array(length + before + whole(0, 5)).fill(Number.NaN);
  const array = around.subarray(before, before + length);
  for (let i = 0; i < length; i++) array[i] = random() < 0.1 ? 0 : random() - shift;
  return array;
}

function randomRequest() {
  const rank = whole(1, 3);
  const most = [80, 14, 6][rank - 1];
  const layer = Array.from({ length: rank }, () => whole(1, most));
  const size = Array.from({ length: rank }, () => whole(1, 2 * most));
  const [images, channels, targets] = [whole(1, 4), whole(1, 9), whole(1, 3)];
  const elements = images * channels * layer.reduce((a, b) => a * b);
  const method = mapMethods[whole(0, mapMethods.length - 1)];
  const several = (length) => Array.from({ length: targets }, () => floats(length, 0.5));
  return {
    method,
    form: random() < 0.5 ? 'exp' : 'softmax',
    alphaNormalization: random() < 0.5,
    gradientRelu: random() < 0.5,
    images,
    channels,
    layer,
    size,
    activations: floats(elements, random() < 0.5 ? 0 : 0.4),
    gradients: method === 'cam' ? [] : several(elements),
    weights: several(images * channels),
    moments: { mean: floats(elements, 0.5), variance: floats(elements, 0), third: floats(elements, 0.5) },
  };
}

/** As in a worker thread: in the calling thread. */
class AtOnce extends addon.Pool {
  async maps(request, outputs) {
    return this.mapsNow(request, outputs);
  }
}

const backends = [];
for (const instructionSet of addon.instructionSets)
  for (const own of [addon, { ...addon, Pool: AtOnce }])
    for (const threads of [1, 3]) backends.push(await openNative({ threads, instructionSet }, own));

let [shown, compared] = [0, 0];
for (let call = 0; call < calls; call++) {
  const request = randomRequest();
  const before = structuredClone(request);
  const actual = await backends[whole(0, backends.length - 1)].compute(request);
  assert.deepEqual(request, before, 'an input was written');
  const exact = computeReference(request);
  for (const [target, raw] of exact.raw.entries()) {
    const largest = raw.reduce((a, b) => Math.max(a, b), 0);
    for (let i = 0; i < raw.length; i++)
      assert.ok(Math.abs(actual.raw[target][i] - raw[i]) <= 1e-6 * largest, `call ${call}: raw ${i}`);
    const map = exact.maps[target];
    for (let i = 0; i < map.length; i++)
      assert.ok(Math.abs(actual.maps[target][i] - map[i]) <= 1e-6, `call ${call}: map ${i}`);
    assert.deepEqual(actual.empty[target], exact.empty[target], `call ${call}: empty`);
    shown += exact.empty[target].filter((e) => e === 0).length;
    compared += map.length;
  }
}
for (const backend of backends) await backend.close();
assert.ok(shown > calls);
console.log(`${calls} random calls agree with the reference: ${shown} maps with something in them, ${compared} pixels`);
