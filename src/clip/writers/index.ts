import { hasFfmpeg } from '../ffmpeg.js';
import { gif } from './gif.js';
import { mp4 } from './mp4.js';
import { webm } from './webm.js';
import { webp } from './webp.js';
import type { ClipWriter } from './writer.js';

/** Every kind of file that moving pictures are written as. */
export const clipWriters = { mp4, webm, webp, gif } as const satisfies Readonly<Record<string, ClipWriter>>;

/** What moving pictures can be written as. */
export const clipFormats = Object.keys(clipWriters) as readonly (keyof typeof clipWriters)[];
export type ClipFormat = (typeof clipFormats)[number];

/** The writer that is asked for; without: mp4, or where there is no ffmpeg webp. */
export async function clipWriter(format: ClipFormat | undefined): Promise<ClipWriter> {
  return clipWriters[format ?? ((await hasFfmpeg()) ? 'mp4' : 'webp')];
}
