import { GradcamppError } from '../errors.js';
import { decodeImage } from '../image/decode.js';
import { readNpy } from '../image/npy.js';
import { toGrey } from '../image/pixels.js';
import { inputGeometry, type Preprocessing } from '../image/preprocess.js';
import type { Mask } from '../targets/target.js';
import type { Network } from './network.js';

/**
 * A mask in a file: the numbers of a .npy [h, w] (or [1, h, w]), or a picture, whose pixels count that are at least half as
 * bright as its brightest. Numbers, and pictures of the size of the network's input, lie over that input. Other pictures lie
 * over the whole picture that is explained, which is cut and scaled for the network: so is the mask.
 */
export async function readMask(
  path: string,
  { image }: Pick<Network, 'image'>,
  preprocessing: Preprocessing | undefined,
): Promise<Mask> {
  if (path.toLowerCase().endsWith('.npy')) {
    const { data, dims } = await readNpy(path);
    const own = dims.filter((dim, axis) => dim !== 1 || axis >= dims.length - 2);
    if (own.length === 2) return { data: Float32Array.from(data, Number), dims: own };
    throw new GradcamppError(
      'INVALID_TARGET',
      `The mask ${JSON.stringify(path)} must have dims [h, w]; received [${dims.join(', ')}].`,
    );
  }
  const picture = await decodeImage(path);
  const { width, height } = picture;
  const grey = toGrey(picture);
  const most = grey.reduce((a, b) => Math.max(a, b), 0);
  const data = Uint8Array.from(grey, (value) => (value > 0 && value >= most / 2 ? 1 : 0));
  const isOfInput = image.dims?.includes(width) && image.dims.includes(height);
  const geometry = preprocessing && !isOfInput ? inputGeometry(width, height, preprocessing) : undefined;
  return { data, dims: [height, width], ...(geometry ? { geometry } : {}) };
}
