import { describe, expect, it } from 'vitest';
import { Adam } from '../../../src/train/optimizers/adam.js';

const step = (adam: Adam, weights: Float32Array, gradient: number[], learningRate: number) =>
  adam.update(new Map([['w', weights]]), new Map([['w', Float32Array.from(gradient)]]), learningRate);

describe('Adam', () => {
  it('moves by the learning rate against the sign of the first gradient, whatever its size', () => {
    const weights = Float32Array.of(1, 1, 1);
    step(new Adam(), weights, [1e-3, -50, 0], 0.1);
    expect(weights[0]).toBeCloseTo(0.9, 5);
    expect(weights[1]).toBeCloseTo(1.1, 5);
    expect(weights[2]).toBe(1);
  });

  // By hand, algorithm 1 of the paper with beta1 0.5, beta2 0.5, epsilon 0, rate 1, gradients 1 then 3:
  // mean 0.5, 1.75; square 0.5, 4.75; corrections 0.5, 0.75; steps 1, (1.75 / 0.75) / sqrt(4.75 / 0.75).
  it('corrects the bias of both running means', () => {
    const adam = new Adam({ beta1: 0.5, beta2: 0.5, epsilon: 0 });
    const weights = Float32Array.of(0);
    step(adam, weights, [1], 1);
    expect(weights[0]).toBeCloseTo(-1, 6);
    step(adam, weights, [3], 1);
    expect(weights[0]).toBeCloseTo(-1 - 1.75 / 0.75 / Math.sqrt(4.75 / 0.75), 6);
  });

  it('keeps the moments of each weight apart', () => {
    const adam = new Adam();
    const weights = new Map([
      ['a', Float32Array.of(0)],
      ['b', Float32Array.of(0, 0)],
    ]);
    const gradients = new Map([
      ['a', Float32Array.of(2)],
      ['b', Float32Array.of(-2, 4)],
    ]);
    for (let i = 0; i < 3; i++) adam.update(weights, gradients, 0.01);
    expect(weights.get('a')?.[0]).toBeCloseTo(-0.03, 6);
    expect(weights.get('b')?.[0]).toBeCloseTo(0.03, 6);
    expect(weights.get('b')?.[1]).toBeCloseTo(-0.03, 6);
  });
});
