import { describe, expect, it } from 'vitest';
import { computeReference } from '../../src/map/reference.js';
import { cpu, firstBeyond, tolerances, wgsl } from './tolerance.js';
import { randomRequest, vectors } from './vectors.js';

describe('the vectors', () => {
  it('have names of their own', () => {
    expect(new Set(vectors.map((v) => v.name)).size).toBe(vectors.length);
  });

  it('that are computed by hand carry their answer', () => {
    const byHand = vectors.filter((v) => v.origin === 'by hand');
    expect(byHand.length).toBeGreaterThan(20);
    expect(byHand.every((v) => v.expected)).toBe(true);
  });

  for (const vector of vectors.filter((v) => v.origin === 'reference' && !v.loose))
    it(`${vector.name}: the derived bound says something`, () => {
      const request = vector.request();
      const exact = computeReference(request);
      for (const arithmetic of [cpu, wgsl]) {
        const { maps } = tolerances(request, exact, arithmetic);
        for (const [target, bounds] of maps.entries())
          for (const [image, bound] of bounds.entries())
            if (!exact.empty[target][image]) expect(bound).toBeLessThan(0.01);
      }
      expect(exact.empty.every((e) => e.every((v) => v === 1))).toBe(false);
    });
});

describe('the bound', () => {
  it('for Grad-CAM is (P + K + 2) u Σ mean|g| |A|, up to the rounding of the result', () => {
    const request = randomRequest({ method: 'grad-cam', channels: 6, layer: [5, 5], size: [9, 9] });
    const { raw } = tolerances(request, computeReference(request), cpu);
    for (let p = 0; p < 25; p++) {
      let expected = 0;
      for (let k = 0; k < 6; k++) {
        const plane = request.gradients[0].subarray(k * 25, (k + 1) * 25);
        expected +=
          (plane.reduce((a, b) => a + Math.abs(b), 0) / 25) * Math.abs(request.activations[k * 25 + p]);
      }
      expected *= (25 + 6 + 2) * 2 ** -24;
      expect(raw[0][p]).toBeLessThanOrEqual(expected * 1.0001 + 1e-40);
      expect(raw[0][p]).toBeGreaterThan(expected * 0.5);
    }
  });

  it('is not passed by NaN, by a wrong length, or by what lies beyond', () => {
    expect(firstBeyond([1, 2], [1, 2], () => 0)).toBeUndefined();
    expect(firstBeyond([1, Number.NaN], [1, 2], () => 1e9)).toContain('element 1: NaN');
    expect(firstBeyond([1, 2], [1, Number.NaN], () => 1e9)).toContain('element 1');
    expect(firstBeyond([1, Number.POSITIVE_INFINITY], [1, 2], () => 1e9)).toContain('Infinity');
    expect(firstBeyond([1], [1, 2], () => 1)).toBe('1 elements instead of 2');
    expect(firstBeyond([1.25], [1], () => 0.125)).toContain('error 0.25');
    expect(firstBeyond([1], [1.5], () => Number.NaN)).toContain('tolerance NaN');
  });
});
