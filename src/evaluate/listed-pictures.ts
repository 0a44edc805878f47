import { animationsIn, inClips } from '../batch/inputs/inputs.js';
import type { Input } from '../batch/picture.js';
import { isUnreadFormat, LeftOut } from '../batch/inputs/left-out.js';
import { invalid } from '../check.js';
import { clipExtensions } from '../clip/sources/index.js';
import { GradcamppError } from '../errors.js';
import { expandSources } from '../image/sources.js';
import { option } from '../options.js';

/** An option that takes pictures: files, folders or patterns. */
export function pictureSources(flag: string, help: string) {
  return option(
    (value, name) => {
      const isList = Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
      if (isList && value.length > 0) return value as readonly string[];
      throw invalid(name, 'a list of files, folders or patterns', value);
    },
    { help, flag, many: 'repeat', parse: (typed) => typed, default: [] as readonly string[] },
  );
}

/** The pictures or clips that files, folders and patterns stand for, each once, and those of formats that are not read. */
export interface ListedPictures {
  readonly images: string[];
  /** Other files that they are made of: the frames of clips that are folders. */
  readonly files: readonly string[];
  readonly leftOut: LeftOut;
}

/** Refuses networks of clips. @throws GradcamppError UNSUPPORTED_MODEL */
export function picturesOnly(evaluation: string, takesClips: boolean): void {
  if (!takesClips) return;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `"${evaluation}" evaluates networks of pictures, and the model takes clips; faithfulness, tubes, sanity, ablation and generalization take them.`,
  );
}

export interface ListOptions {
  /** Whether the network takes clips: videos are looked for too, and the pictures of a folder are the frames of one clip. */
  readonly takesClips?: boolean;
  /** The option's; default `images`. */
  readonly name?: string;
  /** To which those are added that are left out. */
  readonly leftOut?: LeftOut;
}

/** A file, or the frames of a folder. */
interface Listed {
  readonly path: string;
  readonly frames?: readonly string[];
}

export async function listPictures(
  sources: readonly string[],
  { takesClips = false, name = 'images', leftOut = new LeftOut() }: ListOptions = {},
): Promise<ListedPictures> {
  if (sources.length === 0) throw invalid(name, 'a list of files, folders or patterns', sources);
  const found: Listed[] = [];
  const onSkipped = (path: string, reason: string) => {
    if (isUnreadFormat(reason)) leftOut.add(path, reason); // annotations may lie beside pictures
  };
  const extensions = takesClips ? clipExtensions : [];
  for await (const path of expandSources(sources, { onSkipped, extensions })) found.push({ path });
  const seen = new Set<string>();
  for (const { path } of found) {
    if (seen.has(path))
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${name}" must not name a picture twice; received ${path} again.`,
      );
    seen.add(path);
  }
  if (!takesClips) return { images: found.map(({ path }) => path), files: [], leftOut };
  const clips = [...inClips<Listed>(found, await animationsIn(found))];
  const named = new Set(sources);
  const filesOf = (frames: Input['frames'] = []) => frames.filter((frame) => typeof frame === 'string');
  for (const { path, frames } of clips)
    if (filesOf(frames).some((frame) => named.has(frame)))
      throw invalid(
        name,
        `the folder ${JSON.stringify(path)} where its pictures are a clip`,
        filesOf(frames)[0],
      );
  return {
    images: clips.map(({ path }) => path),
    files: clips.flatMap(({ frames }) => filesOf(frames)),
    leftOut,
  };
}
