import { type ClipLayout, clipLayouts, type FrameSampling } from '../image/frame-sampling.js';
import type { ClipPreprocessing } from './clip.js';

type Dims = readonly (number | string | null | undefined)[];

/** Of the Kinetics-400 training clips in 0…1: the constants of torchvision; grey: their means. */
const rgb = { mean: [0.43216, 0.394666, 0.37645], std: [0.22803, 0.22145, 0.216989] };
const grey = { mean: [0.401], std: [0.222] };

/** Frames of a clip where the network takes any number. */
const assumedCount = 16;

/**
 * How the axes of a network's input are those of clips, by its dims with N; undefined where they are not.
 *
 * @param channels the axis that the network reads as channels, where that is known
 */
export function clipLayoutOf(dims: Dims, channels?: number): ClipLayout | undefined {
  if (dims.length !== 5) return undefined;
  const isColour = (dim: unknown) => dim === 1 || dim === 3;
  const read = clipLayouts.find((layout) => clipChannelAxis(layout) + 1 === channels);
  if (read && isColour(dims[channels as number])) return read;
  if (isColour(dims[1])) return 'NCTHW';
  if (isColour(dims[2])) return 'NTCHW';
  return isColour(dims[4]) ? 'NTHWC' : undefined;
}

/** The axis of an input, without N, that holds its channels. */
export function clipChannelAxis(layout: ClipLayout): number {
  return { NCTHW: 0, NTCHW: 1, NTHWC: 3 }[layout];
}

/** T of the network's input. */
export function framesOf(layout: ClipLayout, dims: Dims): number | undefined {
  const own = dims[layout === 'NCTHW' ? 2 : 1];
  return typeof own === 'number' && own > 0 ? own : undefined;
}

/** The sampling with its number of frames: what is asked for, else the network's own, else 16. */
export function samplingFor(
  sampling: FrameSampling,
  layout: ClipLayout,
  dims: Dims,
): ClipPreprocessing['sampling'] {
  return { ...sampling, count: sampling.count ?? framesOf(layout, dims) ?? assumedCount };
}

/**
 * Preprocessing of clips for a network without a sidecar, by its input's dims: Kinetics' mean and std, RGB (or grey for one
 * channel). Inputs of 112 and up are cropped from frames whose shorter edge is 8⁄7 of theirs; unknown H and W are taken for 112.
 */
export function assumedClips(
  layout: ClipLayout,
  dims: Dims,
): { readonly frame: ClipPreprocessing['frame']; readonly sentence: string } {
  const [channelsAt, heightAt] = { NCTHW: [1, 3], NTCHW: [2, 3], NTHWC: [4, 2] }[layout];
  const length = (at: number) => (typeof dims[at] === 'number' && dims[at] > 0 ? dims[at] : undefined);
  const [height, width] = [length(heightAt), length(heightAt + 1)];
  const size: [number, number] = [height ?? width ?? 112, width ?? height ?? 112];
  const isGrey = dims[channelsAt] === 1;
  const resize = size[0] === size[1] && size[0] >= 112 ? Math.round((size[0] * 8) / 7) : undefined;
  const steps = resize ? `shorter edge to ${resize}, centre crop` : 'scaled and cropped to';
  return {
    frame: {
      layout: layout === 'NTHWC' ? 'NHWC' : 'NCHW',
      size,
      resize,
      resizeMode: 'shorter-edge',
      interpolation: 'pillow-bilinear',
      channels: isGrey ? 'gray' : 'RGB',
      range: 1,
      ...(isGrey ? grey : rgb),
    },
    sentence: `Preprocessing of clips assumed from the input dims [${dims.map((dim) => dim || '?').join(', ')}]: ${layout}, ${isGrey ? 'gray' : 'RGB'} in 0…1, ${steps} ${size[0]}×${size[1]}, Kinetics mean and std. A sidecar file says otherwise (docs/clips.md).`,
  };
}
