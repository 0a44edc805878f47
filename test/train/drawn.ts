import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePng } from '../../src/image/encode.js';
import { randomNumbers } from '../map/random.js';

export const drawnClasses = ['cross', 'ring', 'square'] as const;

/** Small pictures of one shape each on a noisy ground, in folders of their classes. */
export async function drawFolder(folder: string, perClass: number, seed: number, size = 16): Promise<void> {
  const next = randomNumbers(seed);
  for (const name of drawnClasses) {
    await mkdir(join(folder, name), { recursive: true });
    for (let n = 0; n < perClass; n++) {
      const data = new Uint8Array(size * size * 3);
      for (let i = 0; i < data.length; i++) data[i] = 60 + 90 * next();
      const [cx, cy] = [4 + next() * (size - 8), 4 + next() * (size - 8)];
      const colour = [160 + 95 * next(), 160 + 95 * next(), 160 + 95 * next()];
      for (let y = 0; y < size; y++)
        for (let x = 0; x < size; x++)
          if (isIn(name, Math.abs(x - cx), Math.abs(y - cy)))
            for (let c = 0; c < 3; c++) data[(y * size + x) * 3 + c] = colour[c];
      await writeFile(
        join(folder, name, `${n}.png`),
        encodePng({ data, width: size, height: size, channels: 3 }),
      );
    }
  }
}

function isIn(name: (typeof drawnClasses)[number], dx: number, dy: number): boolean {
  if (name === 'cross') return Math.min(dx, dy) < 1 && Math.max(dx, dy) < 4;
  if (name === 'square') return Math.max(dx, dy) < 3;
  return Math.abs(Math.hypot(dx, dy) - 3) < 0.8;
}
