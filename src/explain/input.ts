import { GradcamppError } from '../errors.js';
import type { ValueInfo } from '../graph/graph.js';
import { decodeImage, type ImageSource } from '../image/decode.js';
import { parseNpy, readNpy } from '../image/npy.js';
import type { Pixels, Rectangle } from '../image/pixels.js';
import { type Preprocessing, preprocess } from '../image/preprocess.js';
import { firstNotFinite, sizeOf, type Tensor } from '../tensor.js';

/**
 * A picture: a path, file URL, the bytes of a picture file, decoded pixels, or a tensor that is preprocessed
 * already, [C, H, W] or [1, C, H, W] (its path may end in .npy).
 */
export type ImageInput = ImageSource | Tensor;

/** A picture ready for the network. */
export interface PreparedImage {
  /** The path, where there is one. */
  readonly path?: string;
  /** Dims of the network's input, without N. */
  readonly dims: readonly number[];
  readonly tensor: Float32Array;
  /** The decoded picture; undefined for tensors. */
  readonly picture?: Pixels;
  /** The part of the picture that the network sees. */
  readonly geometry?: Rectangle;
}

/** Decodes and preprocesses one picture. A .npy of N tensors gives N. `name` is what it is called; default its path. */
export async function prepareImages(
  input: ImageInput,
  preprocessing: Preprocessing | undefined,
  image: ValueInfo,
  name?: string,
): Promise<PreparedImage[]> {
  const path = name ?? (typeof input === 'string' ? input : undefined);
  if (typeof input === 'string' && input.toLowerCase().endsWith('.npy'))
    return splitTensor(await readNpy(input), image, path);
  if (input instanceof Uint8Array && input[0] === 0x93 && input[1] === 0x4e)
    return splitTensor(parseNpy(input, path), image, path);
  if (isTensor(input)) return splitTensor(input, image, path);
  if (preprocessing === undefined)
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${path ? `"${path}"` : 'A picture'} cannot be fed to the model, whose input has dims [${image.dims?.join(', ') ?? 'unknown'}]; pass preprocessed tensors or .npy files, or describe the input in a sidecar file.`,
    );
  const picture = await decodeImage(input as ImageSource, { name: path });
  const { tensor, dims, geometry } = preprocess(picture, preprocessing);
  return [{ path, tensor, dims, picture, geometry }];
}

function isTensor(input: ImageInput): input is Tensor {
  return input !== null && typeof input === 'object' && 'dims' in input && 'data' in input;
}

/** A tensor without or with a batch axis, as one input a picture, checked against the model's input. */
function splitTensor(tensor: Tensor, image: ValueInfo, path?: string): PreparedImage[] {
  const wanted = image.dims ?? [];
  const what = path ? `"${path}"` : 'The tensor';
  const data = tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data, Number);
  const hasBatch = tensor.dims.length === wanted.length;
  const dims = hasBatch ? tensor.dims.slice(1) : tensor.dims;
  const fits =
    dims.length === wanted.length - 1 &&
    dims.every((dim, i) => typeof wanted[i + 1] === 'string' || wanted[i + 1] === dim);
  if (!fits || data.length !== sizeOf(tensor.dims))
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${what} must have dims [${wanted.slice(1).join(', ')}] or [N, ${wanted.slice(1).join(', ')}]; received [${tensor.dims.join(', ')}].`,
    );
  const bad = firstNotFinite(data);
  if (bad >= 0)
    throw new GradcamppError(
      'INVALID_IMAGE',
      `${what} must hold finite numbers; received ${data[bad]} at index ${bad}.`,
    );
  const size = sizeOf(dims);
  const count = hasBatch ? tensor.dims[0] : 1;
  return Array.from({ length: count }, (_, n) => ({
    path: path && count > 1 ? `${path}#${n}` : path,
    dims,
    tensor: data.subarray(n * size, (n + 1) * size),
  }));
}
