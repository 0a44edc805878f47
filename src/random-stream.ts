import { sha256 } from './sha256.js';

/** A stream of random numbers that is a pure function of its seed, the same on every machine. */
export interface Random {
  /** 32 random bits. */
  bits(): number;
  /** Uniform in [0, 1), 2⁻³² apart. */
  uniform(): number;
  /** A whole number, uniform in 0 … n − 1. */
  below(n: number): number;
  /** A new array in random order (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

/**
 * sfc32 (Chris Doty-Humphrey, PractRand), seeded with the SHA-256 of the parts. Parts name what the numbers are
 * for, so that a stream depends on the picture's name and not on its place in the list.
 */
export function random(...parts: readonly (string | number)[]): Random {
  let [a, b, c] = sha256(JSON.stringify(parts)).subarray(0, 3).map(swapped);
  let counter = 1;
  const bits = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  const uniform = (): number => bits() / 0x1_0000_0000;
  const below = (n: number): number => Math.floor(uniform() * n);
  const shuffle = <T>(items: readonly T[]): T[] => {
    const order = [...items];
    for (let i = order.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  };
  for (let i = 0; i < 12; i++) bits();
  return { bits, uniform, below, shuffle };
}

/** Normal numbers, mean 0 and standard deviation 1, drawn in pairs (Marsaglia's polar method). */
export function normals({ uniform }: Pick<Random, 'uniform'>): () => number {
  let [spare, hasSpare] = [0, false];
  return () => {
    if (hasSpare) {
      hasSpare = false;
      return spare;
    }
    let [x, y, square] = [0, 0, 0];
    while (square === 0 || square >= 1) {
      x = 2 * uniform() - 1;
      y = 2 * uniform() - 1;
      square = x * x + y * y;
    }
    const factor = Math.sqrt((-2 * Math.log(square)) / square);
    spare = y * factor;
    hasSpare = true;
    return x * factor;
  };
}

/** The same four bytes, read from the other end. */
function swapped(word: number): number {
  return (word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
}
