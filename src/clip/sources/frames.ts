import { decodeImage, type ImageSource } from '../../image/decode.js';
import { Unreadable } from '../../image/decoders/decoder.js';
import type { FrameList, FrameStream } from '../clip.js';

/** Pictures that are the frames of a clip, all of one size. They are what they are: a rate that is asked for changes nothing. */
export async function openFrames({ frames, rate }: FrameList): Promise<FrameStream> {
  if (frames.length < 2)
    throw new Unreadable(
      `it holds ${frames.length === 0 ? 'no pictures' : 'one picture'}, and a clip has several frames`,
    );
  const { width, height } = await decodeImage(frames[0]);
  return {
    width,
    height,
    rate,
    count: frames.length,
    read: async function* (isWanted) {
      for (const [index, frame] of frames.entries()) {
        if (!isWanted(index)) {
          yield undefined;
          continue;
        }
        const { frames: _, ...pixels } = await decodeImage(frame);
        if (pixels.width !== width || pixels.height !== height)
          throw new Unreadable(
            `its frames must be of one size: the first has ${width} × ${height} pixels, ${nameOf(frame, index)} has ${pixels.width} × ${pixels.height}`,
          );
        yield pixels;
      }
    },
  };
}

function nameOf(frame: ImageSource, index: number): string {
  return typeof frame === 'string' ? JSON.stringify(frame) : `frame ${index}`;
}
