import { expect, test } from 'vitest';
import { AdamW } from '../../../src/train/optimizers/adamw.js';
import { Adam } from '../../../src/train/optimizers/adam.js';
import { clipGradients } from '../../../src/train/optimizers/clip.js';
import type { Optimizer } from '../../../src/train/optimizers/optimizer.js';
import { Sgd } from '../../../src/train/optimizers/sgd.js';

const one = (value: number) => new Map([['w', Float32Array.of(value)]]);

/** The weight after each of some gradients. */
function moved(optimizer: Optimizer, start: number, gradients: readonly number[], rate: number): number[] {
  const weights = one(start);
  return gradients.map((gradient) => {
    optimizer.update(weights, one(gradient), rate);
    return weights.get('w')?.[0] as number;
  });
}

// By hand, momentum 0.5, rate 0.1, gradients 1 then 2: velocity 1, 2.5; with Nesterov 1.5, 3.25.
test('SGD, momentum and Nesterov’s momentum', () => {
  const plain = moved(new Sgd({ momentum: 0.5, nesterov: false }), 1, [1, 2], 0.1);
  expect(plain[0]).toBeCloseTo(0.9, 6);
  expect(plain[1]).toBeCloseTo(0.65, 6);
  const nesterov = moved(new Sgd({ momentum: 0.5 }), 1, [1, 2], 0.1);
  expect(nesterov[0]).toBeCloseTo(0.85, 6);
  expect(nesterov[1]).toBeCloseTo(0.525, 6);
});

test('weight decay pulls the chosen weights towards 0, and no others', () => {
  const decay = (decayed: string[]) => new Sgd({ momentum: 0, weightDecay: 0.5, decayed });
  expect(moved(decay(['w']), 2, [0], 0.1)[0]).toBeCloseTo(1.9, 6);
  expect(moved(decay([]), 2, [0], 0.1)[0]).toBe(2);
});

test('AdamW’s decay is apart from the running means, Adam’s goes through them', () => {
  expect(moved(new AdamW({ weightDecay: 0.5 }), 2, [0], 0.1)[0]).toBeCloseTo(1.9, 6);
  expect(moved(new Adam({ weightDecay: 0.5 }), 2, [0], 0.1)[0]).toBeCloseTo(1.9, 6); // a step of the whole rate
  expect(moved(new AdamW({ weightDecay: 0.5 }), 4, [0], 0.1)[0]).toBeCloseTo(3.8, 6);
  expect(moved(new Adam({ weightDecay: 0.5 }), 4, [0], 0.1)[0]).toBeCloseTo(3.9, 6);
});

test.each([
  ['sgd', () => new Sgd()],
  ['adam', () => new Adam()],
  ['adamw', () => new AdamW()],
])('%s goes on from its state as if it had never stopped', (_, make) => {
  const gradients = [0.3, -1, 2, 0.7, -0.2];
  const whole = moved(make(), 1, gradients, 0.01);
  const first = make();
  const at = moved(first, 1, gradients.slice(0, 2), 0.01)[1];
  const second = make();
  second.restore(structuredClone(first.state()));
  expect(moved(second, at, gradients.slice(2), 0.01)).toEqual(whole.slice(2));
});

test('gradients are clipped together', () => {
  const gradients = new Map([
    ['a', Float32Array.of(3, 0)],
    ['b', Float32Array.of(4)],
  ]);
  expect(clipGradients(gradients, 10)).toBe(5);
  expect([...(gradients.get('a') as Float32Array)]).toEqual([3, 0]);
  expect(clipGradients(gradients, 1)).toBe(5);
  expect(gradients.get('a')?.[0]).toBeCloseTo(0.6, 6);
  expect(gradients.get('b')?.[0]).toBeCloseTo(0.8, 6);
});
