import { sizeOf } from '../tensor.js';
import type { Differentiator } from './passes.js';

type Backward = Differentiator['backward'];

/** Memory for the gradients of a linear head, in numbers. */
const mostRemembered = 1 << 22;

/** A linear head has the same gradient for every picture, so that of a class is computed once. */
export function withRememberedClasses(passes: Differentiator): Differentiator {
  if (!passes.isConstant || passes.count === 0) return passes;
  const backward = rememberedClasses(passes);
  const backwardEach: Differentiator['backwardEach'] = async (forward, seeds) => {
    const found: Float32Array[][] = [];
    for (const seed of seeds) found.push(await backward(forward, seed));
    return found;
  };
  return { ...passes, backward, backwardEach };
}

function rememberedClasses({ backward: run, scores, batch = 1 }: Differentiator): Backward {
  const rest = (scores.info.dims ?? []).slice(1) as number[];
  const count = sizeOf(rest);
  const known = new Map<number, Float32Array[]>();
  let size = 0;
  const ofClass = async (index: number) => {
    const found = known.get(index);
    if (found) return found;
    const seed = new Float32Array(batch * count);
    seed[index] = 1;
    const asScores = { type: 'float32', dims: [batch, ...rest], data: seed } as const;
    const gradients = (await run({ saved: {}, images: batch, scores: asScores }, seed)).map((gradient) =>
      gradient.slice(0, gradient.length / batch),
    );
    size += gradients.reduce((sum, gradient) => sum + gradient.length, 0);
    if (size > mostRemembered) {
      known.clear();
      size = 0;
    }
    known.set(index, gradients);
    return gradients;
  };
  return async (forward, seed) => {
    const classes = Array.from({ length: forward.images }, (_, n) => onlyClass(seed, n * count, count));
    if (!classes.every((index) => index !== undefined)) return run(forward, seed);
    const rows: Float32Array[][] = [];
    for (const index of classes) rows.push(await ofClass(index));
    if (rows.length === 1) return rows[0];
    return rows[0].map((first, layer) => {
      const gradient = new Float32Array(first.length * rows.length);
      rows.forEach((row, n) => gradient.set(row[layer], n * first.length));
      return gradient;
    });
  };
}

/** The class whose score alone a seed asks for, with weight 1; undefined for other seeds. */
function onlyClass(seed: Float32Array, start: number, count: number): number | undefined {
  let found: number | undefined;
  for (let i = 0; i < count; i++) {
    if (seed[start + i] === 0) continue;
    if (found !== undefined || seed[start + i] !== 1) return undefined;
    found = i;
  }
  return found;
}
