import { controlMap } from '../../src/evaluate/control.js';
import type { ExplanationMap, Subject, Variant } from '../../src/evaluate/subject.js';

/** What a fake network was asked, counted. */
export interface Counts {
  prepare: number;
  explain: number;
  /** Pictures in all calls of predict. */
  predicted: number;
  largestBatch: number;
}

export interface FakeOptions {
  /** 4 × 4 pictures of one channel, by name. */
  readonly pictures: Readonly<Record<string, readonly number[]>>;
  /** The map of a method; default: `fakeMaps`. */
  readonly maps?: (method: Variant['method'], tensor: Float32Array, target: number) => readonly number[];
  /** Dims of the maps; of clips with T in front. Default: 4 × 4. */
  readonly size?: readonly number[];
  /** P(class 0) of a picture; default: the mean of its left half. */
  readonly network?: (tensor: Float32Array) => number;
}

export const left: readonly number[] = Array.from({ length: 16 }, (_, p) => (p % 4 < 2 ? 1 : 0));
export const right = left.map((value) => 1 - value);
export const nothing = left.map(() => 0);

/** A perfect explanation of the default network's class 0, the worst one, and an empty one. */
export const fakeMaps: Readonly<Record<string, readonly number[]>> = {
  'grad-cam++': left,
  'grad-cam': right,
  cam: nothing,
};

/**
 * A network whose answers are known: P("left") is the mean of the picture's left half, P("right") the rest. Black is
 * −1, so that masking pixels and masking the tensor differ.
 */
export function fakeSubject(options: FakeOptions): Subject & { readonly counts: Counts } {
  const { pictures, size = [4, 4], network = meanOfLeft, maps = (method) => fakeMaps[method] } = options;
  const counts: Counts = { prepare: 0, explain: 0, predicted: 0, largestBatch: 0 };
  const probabilities = (tensor: Float32Array): number[] => [network(tensor), 1 - network(tensor)];
  const subject: Subject & { readonly counts: Counts } = {
    counts,
    classes: ['left', 'right'],
    layout: { channels: 1, positions: 16, run: 16 },
    size,
    takesClips: size.length === 3,
    layer: size.map((length) => length / 2),
    black: [-1],
    description: [['model', 'fake']],
    prepare: async (image) => {
      counts.prepare++;
      const [height, width] = size.slice(-2);
      const input = { width, height };
      const tensor = Float32Array.from(pictures[image]);
      return {
        image,
        tensor,
        view: () => ({
          ...input,
          channels: 3,
          data: new Uint8Array(48).map((_, i) => tensor[Math.floor(i / 3)] * 255),
        }),
        geometry: { picture: input, crop: { x: 0, y: 0, ...input }, input },
      };
    },
    explain: async ({ image, tensor }, variants, targets) => {
      counts.explain++;
      const own = probabilities(tensor);
      const explained = (targets ?? [{ top: 1 }]).map((target) =>
        typeof target === 'number' ? target : own[0] >= own[1] ? 0 : 1,
      );
      const map = (variant: Variant, target: number): ExplanationMap => {
        if (variant.method === 'random') return controlMap(subject, { image }, variant.seed ?? 1);
        const data = Float32Array.from(maps(variant.method, tensor, target));
        return { data, empty: data.every((value) => value === 0) };
      };
      return {
        targets: explained.map((target) => ({
          name: subject.classes[target],
          class: target,
          again: target,
          confidence: own[target],
          confidenceIn: async (tensors, count) => {
            const all = await subject.predict(tensors, count);
            return Array.from({ length: count }, (_, i) => all[2 * i + target]);
          },
        })),
        maps: variants.map((variant) => explained.map((target) => map(variant, target))),
      };
    },
    predict: async (tensors, count) => {
      counts.predicted += count;
      counts.largestBatch = Math.max(counts.largestBatch, count);
      const all = Array.from({ length: count }, (_, i) =>
        probabilities(tensors.subarray(i * 16, (i + 1) * 16)),
      );
      return Float32Array.from(all.flat());
    },
    close: async () => {},
  };
  return subject;
}

function meanOfLeft(tensor: Float32Array): number {
  return left.reduce((sum, weight, p) => sum + weight * tensor[p], 0) / 8;
}

export const variants: readonly Variant[] = [
  { name: 'perfect', method: 'grad-cam++' },
  { name: 'worst', method: 'grad-cam' },
  { name: 'empty', method: 'cam' },
  { name: 'random', method: 'random' },
];
