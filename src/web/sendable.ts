import { GradcamppError } from '../errors.js';
import type { ImageInput } from '../explain/input.js';
import type { AnyPixels } from '../image/pixels.js';
import type { Tensor } from '../tensor.js';
import { absolute } from './page-options.js';

/**
 * A picture: an image element, canvas or video frame, an ImageBitmap, ImageData, a Blob or the bytes of a picture file, its
 * URL, decoded pixels, or a tensor that is preprocessed already ([C, H, W] or [1, C, H, W]; a URL may end in .npy).
 */
export type WebImageInput =
  | HTMLImageElement
  | HTMLCanvasElement
  | HTMLVideoElement
  | OffscreenCanvas
  | ImageBitmap
  | ImageData
  | Blob
  | Uint8Array
  | string
  | URL
  | AnyPixels
  | Tensor;

/** Pictures as a worker can be sent them. */
export async function sendable(images: WebImageInput | readonly WebImageInput[]): Promise<ImageInput[]> {
  const list = Array.isArray(images) ? (images as readonly WebImageInput[]) : [images as WebImageInput];
  return Promise.all(list.map(sendableImage)) as Promise<ImageInput[]>;
}

const elements = ['HTMLImageElement', 'HTMLCanvasElement', 'HTMLVideoElement', 'OffscreenCanvas'] as const;

async function sendableImage(image: WebImageInput): Promise<unknown> {
  if (typeof image === 'string' || image instanceof URL) return absolute(image);
  const isElement = elements.some((name) => {
    const kind = (globalThis as Record<string, unknown>)[name] as (new () => object) | undefined;
    return kind !== undefined && image instanceof kind;
  });
  if (!isElement) return image;
  const element = image as Exclude<ImageBitmapSource, Blob>;
  try {
    if (element instanceof HTMLImageElement) await element.decode();
    return await createImageBitmap(element, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  } catch (cause) {
    throw new GradcamppError(
      'INVALID_IMAGE',
      'The picture of an element cannot be read: it is not loaded, or from another site that does not allow it.',
      { cause },
    );
  }
}
