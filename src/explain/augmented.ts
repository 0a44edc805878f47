import { DataType } from '../onnx/types.js';
import { isOfScores, type Row } from '../targets/target.js';
import { sizeOf } from '../tensor.js';
import type { Answer } from './answers.js';
import type { PreparedImage } from './input.js';

/** How a picture is changed before it is explained once more. */
export interface Augmentation {
  readonly isMirrored: boolean;
  readonly brightness: number;
}

const brightnesses = [0.9, 1, 1.1];

/**
 * What the modifier `aug` changes in pictures of these spatial dims, apart from leaving them as they are. Where the target has a
 * place, in an output with places, it would be elsewhere in the mirror image.
 */
export function augmentationsOf(size: readonly number[], rows: readonly Row[]): Augmentation[] {
  const canMirror = size.length > 1 && rows.every(({ dims }) => isOfScores(dims));
  return (canMirror ? [false, true] : [false]).flatMap((isMirrored) =>
    brightnesses
      .filter((brightness) => isMirrored || brightness !== 1)
      .map((brightness) => ({ isMirrored, brightness })),
  );
}

/** What whole numbers can be. */
const ranges: ReadonlyMap<DataType | undefined, readonly [number, number]> = new Map([
  [DataType.UINT8, [0, 255]],
  [DataType.INT8, [-128, 127]],
]);

/** A picture, changed. `type` is that of the model's own input. */
export function augmented(
  image: PreparedImage,
  { isMirrored, brightness }: Augmentation,
  { channelAxis, type }: { readonly channelAxis: number; readonly type: DataType | undefined },
): PreparedImage {
  const [least, most] = ranges.get(type) ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const tensor = image.tensor.map((value) => Math.min(most, Math.max(least, value * brightness)));
  if (!isMirrored) return { ...image, tensor };
  const last = image.dims.length - 1;
  return { ...image, tensor: mirrored(tensor, image.dims, channelAxis === last ? last - 1 : last) };
}

/** Values in reverse along an axis. */
export function mirrored(values: Float32Array, dims: readonly number[], axis: number): Float32Array {
  const inner = sizeOf(dims.slice(axis + 1));
  const length = dims[axis];
  return values.map((_, i) => {
    const place = Math.floor(i / inner) % length;
    return values[i + (length - 1 - 2 * place) * inner];
  });
}

/** The mean of the picture's own answer and those of the changed ones. Raw values and attributions are of one picture: left out. */
export function meanOf(
  own: Answer,
  others: readonly { readonly answer: Answer; readonly isMirrored: boolean }[],
  images: number,
): Answer {
  const { size, backend, of, facts } = own;
  const all = [
    own,
    ...others.map(({ answer, isMirrored }) =>
      isMirrored ? { ...answer, maps: mirrored(answer.maps, [images, ...size], size.length) } : answer,
    ),
  ];
  return {
    maps: own.maps.map((_, i) => all.reduce((sum, { maps }) => sum + maps[i], 0) / all.length),
    size,
    empty: own.empty.map((__, n) => all.every(({ empty }) => empty[n])),
    backend,
    of,
    facts: Array.from({ length: images }, (_, n) => ({ ...facts?.[n], augmentations: all.length })),
  };
}
