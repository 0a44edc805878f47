import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, GradcamppError } from '../../errors.js';
import { start } from '../ffmpeg.js';
import type { ClipWriter } from './writer.js';

/** How ffmpeg encodes a format. */
interface Encoding {
  readonly format: string;
  readonly ending: string;
  readonly picture: readonly string[];
  readonly sound: readonly string[];
  readonly container: readonly string[];
}

/**
 * A format that ffmpeg writes: into a temporary file, since it goes back to say how long it has become. Sides become even, as
 * 4:2:0 wants, by a black row or column.
 */
export function ffmpegWriter({
  format,
  ending,
  picture,
  sound: soundCodec,
  container,
}: Encoding): ClipWriter {
  return {
    format,
    ending,
    needsFfmpeg: true,
    write: async (frames, { rate, sound }) => {
      const [{ width, height }] = frames;
      const folder = await mkdtemp(join(tmpdir(), 'gradcampp-clip-'));
      const file = join(folder, `clip${ending}`);
      const size = `${width}x${height}`;
      const { process, ended } = start(
        'ffmpeg',
        [
          [
            '-v',
            'error',
            '-f',
            'rawvideo',
            '-pix_fmt',
            'rgb24',
            '-video_size',
            size,
            '-framerate',
            String(rate),
          ],
          ['-i', 'pipe:0'],
          sound ? ['-ss', String(sound.start), '-t', String(sound.duration), '-i', `file:${sound.file}`] : [],
          ['-map', '0:v', ...(sound ? ['-map', '1:a:0?', ...soundCodec] : [])],
          ['-vf', 'pad=ceil(iw/2)*2:ceil(ih/2)*2,format=yuv420p', ...picture, '-threads', '1'],
          ['-map_metadata', '-1', '-fflags', '+bitexact', '-flags:v', '+bitexact', ...container, file],
        ].flat(),
      );
      try {
        for (const { data } of frames)
          if (!process.stdin.write(data)) await Promise.race([once(process.stdin, 'drain'), ended]);
        process.stdin.end();
        const { code, complaints } = await ended;
        if (code === 0) return await readFile(file);
        throw new Error(complaints.trim().split('\n').at(-1));
      } catch (cause) {
        throw new GradcamppError(
          'OUTPUT',
          `ffmpeg cannot write ${format} (${messageOf(cause)}); write another format (--video webp).`,
          { cause },
        );
      } finally {
        process.kill('SIGKILL');
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}
