import { describe, expect, it } from 'vitest';
import { similarity, structuralSimilarity } from '../../../src/evaluate/sanity/similarity.js';

const map = (...values: number[]): Float32Array => Float32Array.from(values);

describe('similarity', () => {
  it('gives the SSIM of scikit-image 0.26.0 (Gaussian weights, σ 1.5, no sample covariance)', () => {
    const a = Float32Array.from({ length: 169 }, (_, i) => ((i * 37) % 101) / 100);
    const b = Float32Array.from({ length: 169 }, (_, i) => ((i * 53 + 7) % 89) / 88);
    const c = a.map((value, i) => Math.min(Math.max(value * 0.8 + 0.1 * b[i], 0), 1));
    expect(structuralSimilarity(a, b, 13)).toBeCloseTo(-0.0035150388601811328, 7);
    expect(structuralSimilarity(a, c, 13)).toBeCloseTo(0.9648622793968451, 6);
    expect(structuralSimilarity(a, a, 13)).toBeCloseTo(1, 14);
  });

  it('uses a smaller window on a smaller map: of one position, (2ab + c₁)/(a² + b² + c₁), on 4 × 2', () => {
    const a = map(0, 1, 0, 1, 0, 1, 0, 1);
    const opposite = a.map((value) => 1 - value);
    expect(structuralSimilarity(a, a, 4)).toBe(1);
    expect(structuralSimilarity(a, opposite, 4)).toBeCloseTo(1e-4 / (1 + 1e-4), 14);
    // Of clips the mean over frames: one alike, one opposite.
    const clip = (...frames: Float32Array[]) => ({
      data: map(...frames.flatMap((f) => [...f])),
      empty: false,
    });
    const { ssim } = similarity(clip(a, a), clip(a, opposite), [2, 2, 4]);
    expect(ssim).toBeCloseTo((1 + 1e-4 / (1 + 1e-4)) / 2, 14);
  });
});
