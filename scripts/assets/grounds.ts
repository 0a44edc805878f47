import { type Canvas, type Colour, hsv, mix, smooth } from './canvas.js';
import type { Random } from './random.js';

/** A background: the colour at a point of the unit square. */
type Ground = (x: number, y: number) => Colour;

/** What things lie on. None belongs to a class. */
export const grounds: Readonly<Record<string, (random: Random) => Ground>> = {
  grass(random) {
    const noise = smoothNoise(random);
    const hue = random.between(0.2, 0.29);
    const low = hsv(hue, 0.7, random.between(0.3, 0.4));
    const high = hsv(hue - 0.03, 0.55, random.between(0.6, 0.72));
    return (x, y) => {
      const patch = fractal(noise, 3 * x, 3 * y, 3);
      const blades = fractal(noise, 34 * x + 3 * patch, 7 * y, 2);
      return mix(low, high, 0.55 * patch + 0.55 * blades);
    };
  },
  sand(random) {
    const noise = smoothNoise(random);
    const hue = random.between(0.09, 0.13);
    const low = hsv(hue, 0.42, 0.62);
    const high = hsv(hue + 0.01, 0.28, 0.92);
    const angle = random.between(-0.5, 0.5);
    return (x, y) => {
      const bend = fractal(noise, 2.5 * x, 2.5 * y, 3);
      const ripple = 0.5 + 0.5 * Math.sin(34 * (y + angle * x) + 9 * bend);
      return mix(low, high, 0.3 + 0.4 * bend + 0.22 * ripple + 0.2 * (noise(60 * x, 60 * y) - 0.5));
    };
  },
  water(random) {
    const noise = smoothNoise(random);
    const hue = random.between(0.49, 0.6);
    const deep = hsv(hue + 0.02, 0.75, random.between(0.38, 0.55));
    const bright = hsv(hue - 0.03, 0.4, 0.9);
    return (x, y) => {
      const bend = fractal(noise, 3 * x + 7, 3 * y, 2);
      const net = Math.abs(fractal(noise, 7 * x + 2 * bend, 9 * y + 2 * bend, 2) - 0.5);
      return mix(deep, bright, 0.35 * (1 - y) + 0.5 * smooth(0.14, 0, net) + 0.12 * bend);
    };
  },
  sky(random) {
    const noise = smoothNoise(random);
    const top = hsv(random.between(0.55, 0.62), random.between(0.45, 0.7), random.between(0.65, 0.85));
    const bottom = hsv(random.between(0.02, 0.6), 0.2, 0.95);
    const cover = random.between(0.42, 0.55);
    return (x, y) => {
      const cloud = smooth(cover, cover + 0.3, fractal(noise, 2.4 * x, 3.6 * y, 4));
      return mix(mix(top, bottom, y * y), [0.97, 0.97, 0.98], 0.85 * cloud);
    };
  },
  planks(random) {
    const noise = smoothNoise(random);
    const hue = random.between(0.05, 0.1);
    const low = hsv(hue, random.between(0.4, 0.65), 0.38);
    const high = hsv(hue + 0.02, 0.45, random.between(0.65, 0.82));
    const count = 3 + random.below(3);
    return (x, y) => {
      const plank = Math.floor(y * count);
      const edge = smooth(0.05, 0.01, Math.min(y * count - plank, plank + 1 - y * count));
      const bend = fractal(noise, 2 * x + 5.3 * plank, 3 * y, 2);
      const grain = fractal(noise, 3 * x + 9.1 * plank, 30 * y + 6 * bend, 3);
      const colour = mix(low, high, 0.2 + 0.7 * grain + 0.25 * (noise(plank + 0.5, 3.5) - 0.5));
      return mix(colour, [0.12, 0.08, 0.05], 0.75 * edge);
    };
  },
  stone(random) {
    const noise = smoothNoise(random);
    const hue = random.next();
    const low = hsv(hue, 0.08, random.between(0.3, 0.42));
    const high = hsv(hue, 0.06, random.between(0.66, 0.8));
    return (x, y) => {
      const patch = fractal(noise, 4 * x, 4 * y, 4);
      const crack = smooth(0.02, 0, Math.abs(fractal(noise, 3 * x + 20, 3 * y, 3) - 0.5));
      const grain = noise(48 * x, 48 * y) - 0.5;
      return mix(mix(low, high, patch + 0.3 * grain), [0.15, 0.14, 0.14], 0.55 * crack);
    };
  },
  blur(random) {
    const noise = smoothNoise(random);
    const hue = random.next();
    const low = hsv(hue, 0.5, random.between(0.2, 0.4));
    const high = hsv(hue + random.between(-0.15, 0.15), 0.4, random.between(0.6, 0.85));
    const discs = Array.from({ length: 9 }, () => ({
      x: random.next(),
      y: random.next(),
      radius: random.between(0.05, 0.16),
      light: random.between(0.08, 0.3),
    }));
    return (x, y) => {
      let colour = mix(low, high, fractal(noise, 1.6 * x, 1.6 * y, 2) + 0.3 * (0.5 - y));
      for (const disc of discs) {
        const distance = Math.hypot(x - disc.x, y - disc.y);
        colour = mix(colour, [1, 1, 0.9], disc.light * smooth(disc.radius, disc.radius - 0.03, distance));
      }
      return colour;
    };
  },
};

export function paintGround(canvas: Canvas, ground: Ground): void {
  const { size, data } = canvas;
  for (let row = 0, offset = 0; row < size; row++) {
    for (let column = 0; column < size; column++, offset += 3) {
      data.set(ground((column + 0.5) / size, (row + 0.5) / size), offset);
    }
  }
}

type Noise = (x: number, y: number) => number;

/** Value noise in 0…1: random values on a 64 × 64 lattice that repeats, cubic between. */
function smoothNoise(random: Random): Noise {
  const lattice = Float32Array.from({ length: 4096 }, () => random.next());
  return (x, y) => {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const [u, v] = [smooth(0, 1, x - column), smooth(0, 1, y - row)];
    const upper = (row & 63) << 6;
    const lower = ((row + 1) & 63) << 6;
    const left = column & 63;
    const right = (column + 1) & 63;
    const above = lattice[upper + left] * (1 - u) + lattice[upper + right] * u;
    const below = lattice[lower + left] * (1 - u) + lattice[lower + right] * u;
    return above * (1 - v) + below * v;
  };
}

/** Octaves of noise, each twice as fine and half as strong, in 0…1. */
function fractal(noise: Noise, x: number, y: number, octaves: number): number {
  let [sum, strength, total] = [0, 1, 0];
  for (let octave = 0; octave < octaves; octave++) {
    const scale = 2 ** octave;
    sum += strength * noise(x * scale + 17.3 * octave, y * scale + 5.9 * octave);
    total += strength;
    strength /= 2;
  }
  return sum / total;
}
