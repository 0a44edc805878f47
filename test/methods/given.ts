import { vi } from 'vitest';
import type { Evidence, RandomNumbers } from '../../src/methods/common/evidence.js';
import type { OracleCase } from './oracle.js';

type Call = (evidence: Evidence, settings: never) => unknown;

/** Gives a method the oracle's noise in place of what it would draw: [samples, 2, …input]. */
export async function giveNoise<K extends 'map' | 'attribute'>(
  method: Readonly<Record<K, Call>>,
  key: K,
  { array }: OracleCase,
): Promise<void> {
  const { data, dims } = await array('noise');
  const size = data.length / (dims[0] * dims[1]);
  const numbersOf = (image: number): RandomNumbers => {
    let drawn = 0;
    const normal = () => {
      const [sample, i] = [Math.floor(drawn / size), drawn % size];
      drawn++;
      return data[(sample * dims[1] + image) * size + i];
    };
    return { normal, uniform: () => Number.NaN };
  };
  replace(method, key, { random: (_seed, image) => numbersOf(image) });
}

/** Gives a method another way to compute with what it sees, until mocks are restored. */
export function compute<K extends string>(
  method: Readonly<Record<K, Call>>,
  key: K,
  call: (evidence: Evidence) => unknown,
): void {
  vi.restoreAllMocks();
  vi.spyOn(method as Record<string, Call>, key).mockImplementation((evidence) => call(evidence));
}

/** Changes a part of what a method sees, until mocks are restored. */
function replace<K extends string>(method: Readonly<Record<K, Call>>, key: K, part: Partial<Evidence>): void {
  vi.restoreAllMocks();
  const original: Call = method[key];
  vi.spyOn(method as Record<string, Call>, key).mockImplementation((evidence, settings) => {
    const changed = Object.create(evidence) as Evidence;
    return original(Object.assign(changed, part), settings);
  });
}
