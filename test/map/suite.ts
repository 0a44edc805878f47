import { describe, expect, it } from 'vitest';
import type { MapBackend, MapRequest, MapResult } from '../../src/map/backend.js';
import { computeMaps } from '../../src/map/compute.js';
import { computeReference } from '../../src/map/reference.js';
import { sizeOf } from '../../src/tensor.js';
import { oracleCases } from './oracle.js';
import { type Arithmetic, firstBeyond, tolerances } from './tolerance.js';
import { randomRequest, vectors } from './vectors.js';

/**
 * The one suite of the map stage; a test file a backend calls it (top-level await). Where the backend cannot be
 * opened, that is a failure if REQUIRE_BACKENDS names it and a visible skip with the reason otherwise.
 */
export async function describeBackend(
  name: MapBackend['name'],
  open: () => Promise<MapBackend>,
  arithmetic: Arithmetic,
): Promise<void> {
  const required = (process.env.REQUIRE_BACKENDS ?? '').split(',').includes(name);
  const opened = await open().catch((error: unknown) => error);
  if (opened instanceof Error || opened === undefined) {
    const reason = opened instanceof Error ? opened.message : 'not opened';
    if (required)
      it(`${name} is available`, () => {
        throw opened;
      });
    else it.skip(`${name} cannot run here: ${reason}`, () => {});
    return;
  }
  const backend = opened as MapBackend;

  describe(name, () => {
    it('says who it is', () => expect(backend.name).toBe(name));

    for (const vector of vectors) {
      it(`${vector.name} (${vector.origin})`, async () => {
        const request = vector.request();
        const actual = await computeMaps(backend, request);
        expectSound(actual, request);
        const exact = computeReference(request);
        expectClose(actual, exact, request, arithmetic);
        if (vector.expected) {
          // Small fractions: a few roundings, whatever the arithmetic.
          const { raw, maps, empty } = vector.expected;
          expect(
            firstBeyond(join(actual.raw), raw, (i) => 8 * arithmetic.u * Math.abs(raw[i])),
          ).toBeUndefined();
          expect(firstBeyond(join(actual.maps), maps, () => 16 * arithmetic.u)).toBeUndefined();
          expect(actual.empty.flatMap((e) => [...e])).toEqual(empty);
        }
      });
    }

    it('reads arrays that are views into larger ones, and writes none of its inputs', async () => {
      const request = randomRequest({
        images: 2,
        channels: 5,
        layer: [3, 5],
        size: [7, 9],
        targets: 2,
        form: 'softmax',
      });
      const expected = await computeMaps(backend, request);
      const { mean, variance, third } = request.moments!;
      const shifted: MapRequest = {
        ...request,
        activations: shift(request.activations, 1),
        gradients: request.gradients.map((g, i) => shift(g, 2 + i)),
        moments: { mean: shift(mean, 4), variance: shift(variance, 5), third: shift(third, 6) },
      };
      const before = structuredClone(shifted);
      const actual = await computeMaps(backend, shifted);
      expect(actual.raw).toEqual(expected.raw);
      expect(actual.maps).toEqual(expected.maps);
      expect(shifted).toEqual(before);
    });

    it('answers the same request with the same bits, also from several calls at once', async () => {
      const requests = [1, 2, 3, 4].map((seed) =>
        randomRequest({ images: seed, channels: 20, layer: [6, 6], size: [24, 24], seed }),
      );
      const alone: MapResult[] = [];
      for (const request of requests) alone.push(await computeMaps(backend, request));
      const together = await Promise.all(requests.map((request) => computeMaps(backend, request)));
      expect(together).toEqual(alone);
    });

    it('gives an image the same map in any batch', async () => {
      const request = randomRequest({ images: 3, channels: 9, layer: [5, 5], size: [11, 11] });
      const batch = await computeMaps(backend, request);
      const part = 9 * 25;
      const second = await computeMaps(backend, {
        ...request,
        images: 1,
        activations: request.activations.slice(part, 2 * part),
        gradients: [request.gradients[0].slice(part, 2 * part)],
      });
      expect(second.maps[0]).toEqual(batch.maps[0].slice(121, 242));
    });

    it('refuses what is not finite, with the place', async () => {
      for (const [name, bad] of [
        ['activations', Number.NaN],
        ['gradients[1]', Number.POSITIVE_INFINITY],
        ['gradients[1]', Number.NaN],
        ['moments.third', Number.NEGATIVE_INFINITY],
        ['moments.variance', Number.NaN],
      ] as const) {
        const request = randomRequest({
          channels: 3,
          layer: [3, 3],
          size: [3, 3],
          targets: 2,
          form: 'softmax',
        });
        const arrays = {
          activations: request.activations,
          'gradients[1]': request.gradients[1],
          'moments.third': request.moments!.third,
          'moments.variance': request.moments!.variance,
        };
        arrays[name][20] = bad;
        await expect(computeMaps(backend, request)).rejects.toMatchObject({
          code: 'RUNTIME',
          message: expect.stringContaining(
            `"${name}" must hold finite numbers; received ${bad} at index 20 of 27.`,
          ),
        });
      }
    });

    for (const oracle of oracleCases())
      it(`${oracle.name}: float64 PyTorch's maps within 1e-5`, async () => {
        let compared = 0;
        for (const { method, request, raw, map } of oracle.load()) {
          const actual = await computeMaps(backend, { ...request, method });
          // The arrays are float64 results rounded to float32: 2u for the two factors, beside the backend's own error.
          const exact = computeReference({ ...request, method });
          const bound = join(tolerances({ ...request, method }, exact, arithmetic).raw);
          expect(
            firstBeyond(join(actual.raw), raw, (i) => 3 * bound[i]),
            `${method} raw`,
          ).toBeUndefined();
          // LayerNorm makes Σ_k g_k A_k vanish: what is left of HiResCAM after it is rounding.
          if (oracle.name === 'convnext' && method === 'hires-cam') continue;
          expect(
            firstBeyond(join(actual.maps), map, () => 1e-5),
            `${method} map`,
          ).toBeUndefined();
          compared++;
        }
        expect(compared).toBe(oracle.name === 'convnext' ? 4 : 5);
      });
    if (oracleCases().length === 0)
      it.skip('oracle maps of float64 PyTorch: ../shared/oracle is not here', () => {});

    it('closes', () => backend.close());
  });
}

/** The same numbers inside a larger array, `by` elements from its start. */
function shift(array: Float32Array, by: number): Float32Array {
  const inside = new Float32Array(array.length + 9).fill(Number.NaN);
  inside.set(array, by);
  return inside.subarray(by, by + array.length);
}

/** Finite, in range, of the right lengths, and zero exactly where said to be empty. */
function expectSound(result: MapResult, request: MapRequest): void {
  const targets = request.method === 'cam' ? request.weights!.length : request.gradients.length;
  const pixels = sizeOf(request.size);
  for (const field of ['raw', 'maps', 'empty'] as const) expect(result[field].length, field).toBe(targets);
  for (let target = 0; target < targets; target++) {
    const { raw, maps, empty } = {
      raw: result.raw[target],
      maps: result.maps[target],
      empty: result.empty[target],
    };
    expect(raw.length).toBe(request.images * sizeOf(request.layer));
    expect(maps.length).toBe(request.images * pixels);
    expect(empty.length).toBe(request.images);
    expect(raw.every((v) => v >= 0 && v < Number.POSITIVE_INFINITY)).toBe(true);
    expect(maps.every((v) => v >= 0 && v <= 1)).toBe(true);
    for (let image = 0; image < request.images; image++) {
      const positions = sizeOf(request.layer);
      const blank = raw.subarray(image * positions, (image + 1) * positions).every((v) => v === 0);
      expect(empty[image]).toBe(blank ? 1 : 0);
      if (blank) expect(maps.subarray(image * pixels, (image + 1) * pixels).every((v) => v === 0)).toBe(true);
    }
  }
}

/** Within the derived bounds of the reference. */
export function expectClose(
  actual: MapResult,
  exact: MapResult,
  request: MapRequest,
  arithmetic: Arithmetic,
): void {
  const tolerance = tolerances(request, exact, arithmetic);
  const pixels = sizeOf(request.size);
  for (const [target, raw] of exact.raw.entries()) {
    const bound = tolerance.raw[target];
    expect(
      firstBeyond(actual.raw[target], raw, (i) => bound[i]),
      `raw, target ${target}`,
    ).toBeUndefined();
    const mapBound = tolerance.maps[target];
    expect(
      firstBeyond(actual.maps[target], exact.maps[target], (i) => mapBound[Math.floor(i / pixels)]),
      `maps, target ${target}`,
    ).toBeUndefined();
  }
}

/** The targets' arrays one after another. */
function join(arrays: readonly (Float32Array | Float64Array)[]): number[] {
  return arrays.flatMap((array) => [...array]);
}
