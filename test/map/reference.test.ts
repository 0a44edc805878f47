import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { MapResult } from '../../src/map/backend.js';
import { computeReference, openReference } from '../../src/map/reference.js';
import { describeBackend } from './suite.js';
import { cpu } from './tolerance.js';
import { randomRequest } from './vectors.js';

await describeBackend('reference', async () => openReference(), cpu);

const bits = ({ raw, maps, empty }: MapResult) =>
  [...raw, ...maps, ...empty].map((array) => createHash('sha256').update(array).digest('hex'));

test('what is kept from one request changes nothing in the next', async () => {
  const backend = openReference();
  const shape = { images: 2, channels: 3, layer: [3, 4], size: [7, 9], targets: 2 };
  const shapes = [
    shape,
    shape,
    { ...shape, size: [9, 7] },
    { ...shape, layer: [4, 3], size: [600, 500] },
    shape,
  ];
  for (const each of shapes) {
    const request = randomRequest(each);
    expect(bits(await backend.compute(request))).toEqual(bits(computeReference(request)));
  }
});
