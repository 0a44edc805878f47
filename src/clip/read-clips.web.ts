import { GradcamppError } from '../errors.js';
import type { ClipPreprocessing } from './clip.js';
import type { ReadClip } from './read-clips.js';

/** A page reads no videos: see read-clips.ts. */
export function readClips(
  _input: unknown,
  { layout, sampling, frame }: ClipPreprocessing,
): AsyncGenerator<ReadClip> {
  const channels = frame.channels === 'gray' ? 1 : 3;
  throw new GradcamppError(
    'INVALID_IMAGE',
    `The model takes clips (layout ${layout}), and in a page these are given as tensors: ${sampling.count} frames of ${frame.size.join(' × ')}, ${channels} channels.`,
  );
}
