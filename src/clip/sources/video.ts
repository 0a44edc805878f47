import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brandsOf } from '../../image/decoders/iso-boxes.js';
import { checkSize, endsTooEarly, Unreadable } from '../../image/decoders/decoder.js';
import { defaultMaxPixels, type Pixels } from '../../image/pixels.js';
import type { ClipSource, FrameStream, Reading } from '../clip.js';
import { reading, run, selection, start } from '../ffmpeg.js';
import { picturesIn } from '../ppm.js';

/**
 * Videos, and APNG, by the system's ffmpeg, which writes frames into a pipe: 8-bit RGB, turned as the file says. A variable
 * rate becomes the mean rate: frames are repeated or left out so that they stay in time with the sound.
 */
export const video: ClipSource = {
  extensions: ['.mp4', '.m4v', '.mov', '.webm', '.mkv', '.avi'],
  recognizes: (head) =>
    brandsOf(head).length > 0 ||
    /^(moov|mdat|wide|free|skip|pnot)/.test(head.slice(4)) ||
    head.startsWith('\x1a\x45\xdf\xa3') ||
    (head.startsWith('RIFF') && head.startsWith('AVI ', 8)) ||
    (head.startsWith('\x89PNG') && head.includes('acTL')),
  open: async (file, { rate, maxPixels }) => {
    if (typeof file === 'string') return openPath(file, rate, maxPixels);
    const folder = await mkdtemp(join(tmpdir(), 'gradcampp-clip-')); // many kinds are not readable from a pipe
    const remove = () => rm(folder, { recursive: true, force: true });
    try {
      const path = join(folder, 'clip');
      await writeFile(path, file);
      const { sound: _, read, ...stream } = await openPath(path, rate, maxPixels);
      return {
        ...stream,
        read: async function* (...wanted) {
          try {
            yield* read(...wanted);
          } finally {
            await remove();
          }
        },
      };
    } catch (error) {
      await remove();
      throw error;
    }
  },
};

/** What ffprobe says of the first stream of frames. */
interface Probed {
  readonly codec_name?: string;
  readonly width?: number;
  readonly height?: number;
  readonly avg_frame_rate?: string;
  readonly r_frame_rate?: string;
  readonly duration?: string;
  readonly nb_frames?: string;
  readonly nb_read_packets?: string;
  readonly side_data_list?: readonly { readonly rotation?: number }[];
}

/** Where neither a file nor its streams say how fast it is. */
const assumedRate = 25;

async function openPath(
  path: string,
  asked: number | undefined,
  maxPixels = defaultMaxPixels,
): Promise<FrameStream> {
  const { stream, duration } = await probe(path);
  const { width = 0, height = 0, codec_name: codec } = stream;
  if (width * height === 0) throw new Unreadable('it holds no frames');
  checkSize({ width, height }, maxPixels);
  // The mean is no more than the rate that all frames fit into; AVI of H.264 may say twice as much, of rate and frames.
  const [mean, fit] = [numberOf(stream.avg_frame_rate), numberOf(stream.r_frame_rate)];
  const own = Math.min(mean ?? fit ?? assumedRate, fit ?? Number.POSITIVE_INFINITY);
  const rate = asked ?? own;
  const seconds = numberOf(stream.duration) ?? duration ?? (await packetsOf(path)) / own;
  const count = Math.round(rate === mean ? (numberOf(stream.nb_frames) ?? seconds * rate) : seconds * rate);
  if (count < 1) throw new Unreadable('it holds no frames');
  const isTurned = Math.abs(stream.side_data_list?.find((data) => data.rotation)?.rotation ?? 0) % 180 === 90;
  const size = isTurned ? { width: height, height: width } : { width, height };
  return {
    ...size,
    rate,
    count,
    sound: path,
    read: (isWanted, use) => framesOf(path, { ...size, rate, count, codec }, isWanted, use),
  };
}

async function probe(path: string, more: readonly string[] = []) {
  const entries =
    'stream=codec_name,width,height,avg_frame_rate,r_frame_rate,duration,nb_frames,nb_read_packets:format=duration:stream_side_data=rotation';
  const shown = ['-select_streams', 'V:0', '-show_entries', entries, '-of', 'json'];
  const { code, complaints, output } = await run('ffprobe', [
    '-v',
    'error',
    ...more,
    ...shown,
    ...reading(path),
  ]);
  if (code !== 0) {
    const isCut = /moov atom not found|ended prematurely|end of file|could not find codec parameters/i.test(
      complaints,
    );
    const reason = isCut ? `${endsTooEarly}, or holds no video` : 'it is no video that ffmpeg knows';
    throw new Unreadable(reason, { cause: new Error(complaints) });
  }
  const { streams = [], format = {} } = JSON.parse(output.toString()) as {
    streams?: readonly Probed[];
    format?: { readonly duration?: string };
  };
  if (streams.length === 0) throw new Unreadable('it holds no frames');
  return { stream: streams[0], duration: numberOf(format.duration) };
}

/** How many frames there are, where no duration is written: counted without decoding. */
async function packetsOf(path: string): Promise<number> {
  const { stream } = await probe(path, ['-count_packets']);
  return numberOf(stream.nb_read_packets) ?? 0;
}

/** `30000/1001` or `4.2`; undefined where that is no positive number. */
function numberOf(text: string | undefined): number | undefined {
  const [over, under = 1] = (text ?? '').split('/').map(Number);
  const value = over / under;
  return value > 0 && Number.isFinite(value) ? value : undefined;
}

async function* framesOf(
  path: string,
  {
    width,
    height,
    rate,
    count,
    codec,
  }: Pick<FrameStream, 'width' | 'height' | 'count'> & {
    readonly rate: number;
    readonly codec: string | undefined;
  },
  isWanted: (index: number) => boolean,
  { pattern, part }: Reading = {},
): AsyncGenerator<Pixels | undefined> {
  const selected = pattern && selection(pattern);
  const cutOut = part && { width, height, part };
  // Frames that change their size on the way become what the first are: ffmpeg would do it behind the crop.
  const crop = part ? `,crop=${part.width}:${part.height}:${part.x}:${part.y}` : '';
  const pictures = `format=rgb24,scale=${width}:${height}${crop}[pictures]`;
  // What is selected is written without gaps; one byte a frame says how many there were.
  const graph = selected
    ? `split[all][each];[all]select='${selected}',setpts=N/(${rate}*TB),${pictures};[each]scale=1:1:flags=neighbor,format=gray[ticks]`
    : pictures;
  const { process, extra, ended } = start(
    'ffmpeg',
    [
      ['-nostdin', '-v', 'error', ...reading(path), '-filter_complex', `[0:V:0]fps=${rate},${graph}`],
      ['-map', '[pictures]', '-pix_fmt', 'rgb24', '-c:v', 'ppm', '-f', 'image2pipe', 'pipe:1'],
      selected ? ['-map', '[ticks]', '-f', 'rawvideo', 'pipe:3'] : [],
    ].flat(),
  );
  let got = 0;
  extra.on('data', (ticks: Buffer) => {
    got += ticks.length;
  });
  try {
    let index = 0;
    const wanted = selected ? () => true : isWanted;
    for await (const frame of picturesIn(process.stdout, wanted, cutOut)) {
      if (selected) for (; !isWanted(index); index++) yield undefined;
      else got++;
      yield frame;
      index++;
    }
    const { code, complaints } = await ended;
    const missing = count - got; // what a file says of its length is only nearly so
    const isCut = /partial file|ended prematurely/i.test(complaints) || missing > Math.max(rate, 0.1 * count);
    if (got > 0 && isCut) throw new Unreadable(`${endsTooEarly}: ${got} of ${count} frames are in it`);
    if (got === 0 || code !== 0)
      throw new Unreadable(`ffmpeg cannot decode its data${codec ? ` (${codec})` : ''}`, {
        cause: new Error(complaints),
      });
  } finally {
    process.kill('SIGKILL');
  }
}
