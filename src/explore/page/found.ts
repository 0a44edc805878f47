import { signal } from '@preact/signals';
import type { Rectangle } from '../../image/pixels.js';
import { methodNamed } from '../../methods/index.js';
import type { Explanation, TargetExplanation } from '../../web/index.js';

/** What a picture says of its classes. */
export type Scores = Pick<Explanation, 'scores' | 'scoreDims' | 'probabilities' | 'inputDims'>;

/** What was said of a picture: the tokens, with what each continues, or why nothing was. */
export interface Said {
  readonly text: string;
  readonly ids: readonly number[];
  readonly tokens: readonly {
    readonly token: string;
    readonly continues: boolean;
    readonly logProbability: number;
  }[];
  readonly error?: string;
}

/** A map, or why there is none. */
export type Found =
  | { readonly explained: TargetExplanation; readonly geometry: Rectangle; readonly error?: undefined }
  | { readonly error: string };

/** What a layer holds of the picture: activations and, where the network has them, gradients, [K, h, w]. */
export interface Inside {
  readonly key: string;
  readonly dims: readonly number[];
  readonly activations: Float32Array;
  readonly gradients: Float32Array | undefined;
}

export const maps = new Map<string, Found>();
export const scores = new Map<string, Scores>();
/** By picture, and by the caption that was asked for. */
export const captions = new Map<string, Said>();
export const objects = new Map<string, readonly TargetExplanation[]>();
export const bitmaps = new Map<string, ImageBitmap>();
export const inside = signal<Inside | undefined>(undefined);
/** Counts what was found, so that what is shown follows. */
export const found = signal(0);
/** Maps that are kept. */
const mostMaps = 1000;

export const keyOf = (picture: string, edit: string, target: string, method: string, layer: string) =>
  [picture, edit, target, method, isOfLayer(method) ? layer : ''].join('\n');

/** Whether a method looks at a layer. */
export function isOfLayer(name: string): boolean {
  const method = methodNamed(name);
  return method.kind !== 'input' || method.times !== undefined;
}

/** Whether the maps of all layers follow from one pass. */
export function isOfOnePass(name: string): boolean {
  const { needs, kind } = methodNamed(name);
  return kind !== 'input' && needs.every((need) => need === 'activations' || need === 'gradients');
}

export function keep(key: string, one: Found): void {
  maps.set(key, one);
  for (const old of maps.keys()) {
    if (maps.size <= mostMaps) break;
    maps.delete(old);
  }
}

/** What was tried in vain. */
export const unable = new Set<string>();

/** Forgets what was found with a model that is no more. */
export function forget(): void {
  for (const all of [maps, scores, captions, objects, unable]) all.clear();
  inside.value = undefined;
  found.value++;
}
