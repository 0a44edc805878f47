import { GradcamppError } from '../../errors.js';
import { openFile, readInto, stateOf, statsOf, whyUnreadable } from '../../files.js';
import { decodeImage } from '../../image/decode.js';
import { type Pixels, toRgb } from '../../image/pixels.js';
import { unreadable } from '../../image/unreadable.js';

/** Where a picture is. */
export interface PictureSource {
  /** What messages call it: a path, `shard.tar/key.jpg`, `pictures.npy[12]`. */
  readonly name: string;
  /** The file that its bytes are in. */
  readonly file: string;
  /** The file that the user has named, where `file` was unpacked from it. */
  readonly origin?: string;
  /** Its bytes in an archive; otherwise all of the file. */
  readonly part?: { readonly offset: number; readonly size: number };
  /** Its numbers in an array. */
  readonly numbers?: NumbersPart;
  /** Why it cannot be read, where that is known already. */
  readonly problem?: string;
}

/** A picture in an array. */
export interface NumbersPart {
  readonly offset: number;
  readonly type: 'uint8' | 'float32';
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** [H, W, C]; otherwise [C, H, W]. */
  readonly isChannelsLast: boolean;
  /** The value of white. */
  readonly white: 1 | 255;
}

/** @throws GradcamppError INVALID_IMAGE naming the picture */
export async function readPicture(source: PictureSource): Promise<Pixels> {
  const { name, file, part, numbers, problem } = source;
  if (problem !== undefined) throw unreadable(name, problem);
  if (numbers) return pixelsOfNumbers(await bytesAt(source, numbers.offset, sizeOfNumbers(numbers)), numbers);
  if (part) return decodeImage(await bytesAt(source, part.offset, part.size), { name });
  return decodeImage(file, { name });
}

/** The states of the files that pictures are in, and where in them, as text: what changes where a picture does. */
export async function* statesOf(sources: readonly PictureSource[]): AsyncGenerator<string> {
  const files = [...new Set(sources.map(({ file, origin = file }) => origin))];
  const states = new Map<string, string>();
  let i = 0;
  for await (const stats of statsOf(files)) states.set(files[i++], stateOf(stats));
  for (const { file, origin = file, part, numbers } of sources)
    yield `${states.get(origin)} ${part?.offset ?? numbers?.offset ?? ''}`;
}

function sizeOfNumbers({ type, channels, height, width }: NumbersPart): number {
  return channels * height * width * (type === 'uint8' ? 1 : 4);
}

async function bytesAt({ name, file }: PictureSource, offset: number, size: number): Promise<Uint8Array> {
  try {
    const opened = await openFile(file);
    try {
      const bytes = new Uint8Array(size);
      const filled = await readInto(opened, bytes, offset);
      if (filled < size) throw new Error('the file ends too early');
      return bytes;
    } finally {
      await opened.close();
    }
  } catch (cause) {
    if (cause instanceof GradcamppError) throw cause;
    throw unreadable(name, whyUnreadable(cause), cause);
  }
}

function pixelsOfNumbers(bytes: Uint8Array, numbers: NumbersPart): Pixels {
  const { type, channels, height, width, isChannelsLast, white } = numbers;
  const area = height * width;
  const values = type === 'uint8' ? bytes : new Float32Array(bytes.buffer, bytes.byteOffset, channels * area);
  const data = new Uint8Array(channels * area);
  for (let p = 0, o = 0; p < area; p++)
    for (let c = 0; c < channels; c++, o++) {
      const value = values[isChannelsLast ? o : c * area + p];
      data[o] = Math.min(Math.max(Math.round((value * 255) / white), 0), 255);
    }
  return toRgb({ data, width, height, channels });
}
