import { decodeImage, type ImageSource } from '../../image/decode.js';
import { Unreadable } from '../../image/decoders/decoder.js';
import type { Pixels } from '../../image/pixels.js';
import type { FrameList, FrameStream, LateFrame } from '../clip.js';

/** Pictures that are the frames of a clip, all of one size. They are what they are: a rate that is asked for changes nothing. */
export async function openFrames(
  { frames, rate }: FrameList<ImageSource | LateFrame>,
  maxPixels?: number,
): Promise<FrameStream> {
  if (frames.length < 2)
    throw new Unreadable(
      `it holds ${frames.length === 0 ? 'no pictures' : 'one picture'}, and a clip has several frames`,
    );
  const { width, height } = await decoded(frames[0], maxPixels);
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
        const { frames: _, ...pixels } = await decoded(frame, maxPixels);
        if (pixels.width !== width || pixels.height !== height)
          throw new Unreadable(
            `its frames must be of one size: the first has ${width} × ${height} pixels, ${nameOf(frame, index)} has ${pixels.width} × ${pixels.height}`,
          );
        yield pixels;
      }
    },
  };
}

async function decoded(frame: ImageSource | LateFrame, maxPixels?: number): Promise<Pixels> {
  return isLate(frame)
    ? decodeImage(await frame.bytes(), { name: frame.name, maxPixels })
    : decodeImage(frame, { maxPixels });
}

function isLate(frame: ImageSource | LateFrame): frame is LateFrame {
  return typeof frame === 'object' && 'bytes' in frame;
}

function nameOf(frame: ImageSource | LateFrame, index: number): string {
  if (isLate(frame)) return JSON.stringify(frame.name);
  return typeof frame === 'string' ? JSON.stringify(frame) : `frame ${index}`;
}
