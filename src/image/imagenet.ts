import { GradcamppError } from '../errors.js';
import type { Preprocessing } from './preprocess.js';

/** Of the ImageNet training pictures in 0…1: the constants of torchvision; grey: their means, as timm uses. */
const rgb = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const grey = { mean: [0.449], std: [0.226] };

/**
 * Preprocessing for a model without a sidecar, from its input's dims: ImageNet mean and std, RGB (or grey for one
 * channel), channels where dims say 1 or 3, NCHW first. Inputs of 128 and up are cropped from a picture whose
 * shorter edge is 8⁄7 of theirs, as 256 is of 224; smaller ones are not cropped but for the aspect ratio.
 * Unknown H and W are taken for 224, one of them for as much as the other; but an unknown W beside an H of at most 64 is that of
 * a line of text: 320, and the picture is stretched, not cropped. `sentence` says all that to the user.
 * @param dims the input's, with N; a symbolic or unknown one is a string, null or not positive
 * @param isWhole whether the input takes whole numbers: then the pixels themselves, 0…255
 */
export function defaultPreprocessing(
  dims: readonly (number | string | null | undefined)[],
  isWhole = false,
): {
  preprocessing: Preprocessing;
  sentence: string;
} {
  const shown = `[${dims.map((dim) => dim ?? '?').join(', ')}]`;
  const isColour = (dim: unknown) => dim === 1 || dim === 3;
  if (dims.length !== 4 || (!isColour(dims[1]) && !isColour(dims[3])))
    throw new GradcamppError(
      'INVALID_OPTION',
      `The model's input dims ${shown} do not tell how pictures become its input: they must be [N, 1 or 3, H, W] or [N, H, W, 1 or 3]. Describe it in a sidecar file (--preprocess), or pass preprocessed tensors as .npy.`,
    );
  const layout = isColour(dims[1]) ? 'NCHW' : 'NHWC';
  const [colours, height, width] = layout === 'NCHW' ? dims.slice(1) : [dims[3], dims[1], dims[2]];
  const [ownHeight, ownWidth] = [height, width].map((dim) =>
    typeof dim === 'number' && dim > 0 ? dim : undefined,
  );
  const isLine = ownHeight !== undefined && ownHeight <= 64 && ownWidth === undefined;
  const size: [number, number] = [
    ownHeight ?? ownWidth ?? 224,
    ownWidth ?? (isLine ? 320 : (ownHeight ?? 224)),
  ];
  const resize = size[0] === size[1] && size[0] >= 128 ? Math.round((size[0] * 8) / 7) : undefined;
  const channels = colours === 1 ? 'gray' : 'RGB';
  const preprocessing: Preprocessing = {
    layout,
    size,
    resize,
    resizeMode: isLine ? 'stretch' : 'shorter-edge',
    interpolation: 'pillow-bilinear',
    channels,
    ...(isWhole
      ? raw(channels === 'gray' ? 1 : 3)
      : { range: 1 as const, ...(channels === 'gray' ? grey : rgb) }),
  };
  const steps = resize
    ? `shorter edge to ${resize}, centre crop ${size[0]}×${size[1]}`
    : `${isLine ? 'stretched' : 'scaled and cropped'} to ${size[0]}×${size[1]}`;
  const open = [...(ownHeight === undefined ? ['H'] : []), ...(ownWidth === undefined ? ['W'] : [])];
  const guess =
    open.length === 0
      ? ''
      : ` (${open.join(' and ')} ${open.length > 1 ? 'are' : 'is'} not fixed: ${size[0]}×${size[1]} assumed${isLine ? ', a line of text' : ''})`;
  return {
    preprocessing,
    sentence: `Preprocessing assumed from the input dims ${shown}${guess}: ${layout}, ${channels} in ${isWhole ? '0…255' : '0…1'}, ${steps}${isWhole ? '' : ', ImageNet mean and std'}. A sidecar file says otherwise (docs/preprocessing.md).`,
  };
}

/** Pixels as they are. */
function raw(channels: number): Pick<Preprocessing, 'range' | 'mean' | 'std'> {
  return { range: 255, mean: Array<number>(channels).fill(0), std: Array<number>(channels).fill(1) };
}
