import { extname } from 'node:path';
import * as v from 'valibot';
import { GradcamppError, messageOf, show } from '../../errors.js';
import { badAnnotation, type RelativeBox } from '../annotations/annotation.js';
import { parseTable } from '../annotations/delimited.js';
import { anyExtension, matchAnnotations } from '../annotations/matching.js';
import { readText } from '../annotations/read-annotation.js';
import { clipExtensions } from '../../clip/sources/index.js';
import { imageExtensions } from '../../image/formats.js';

/** A box in one frame of a video. */
export interface FrameBox {
  /** From 0, of the video as it is read. */
  readonly frame: number;
  /** As shares of the frame. */
  readonly box: RelativeBox;
}

/** What is annotated of one clip: where something acts, in the frames in which it does. */
export interface Tube {
  /** The class as the data set spells it; '' for whatever is explained. */
  readonly class: string;
  readonly boxes: readonly FrameBox[];
}

/** The tubes of a clip, or a sentence why they are not known; undefined where there are none. */
export type Tubes = readonly Tube[] | { readonly problem: string } | undefined;

/**
 * The tubes of each clip. `.json`: `[{"clip": "a.mp4", "class": "jump", "boxes": [[frame, x0, y0, x1, y1], …]}, …]`; else a table
 * with the head `clip, frame, x0, y0, x1, y1` and perhaps `class`, in any order. Frames count from 0; edges are shares of the
 * frame, or pixels of the size that is given beside them (`"size": [width, height]`, columns `width` and `height`).
 *
 * @throws GradcamppError INVALID_OPTION where the file cannot be read, or says nothing of any clip
 */
export async function readTubes(clips: readonly string[], path: string): Promise<Tubes[]> {
  const text = await readText(path, 'tubes');
  const found = /\.json$/i.test(path) ? inJson(text, path) : inTable(text, path);
  const byClip = groupBy(found, ({ clip }) => clip);
  const entries = [...byClip].map(([clip, own]) => ({
    picture: hasClipExtension(clip) ? anyExtension(clip) : clip,
    source: own[0].place,
    files: [path],
    read: async () => ({}),
    own,
  }));
  const bySource = new Map(entries.map((entry) => [entry.source, entry.own]));
  const matches = matchAnnotations(clips, entries);
  if (!matches.some((match) => match && !('problem' in match)))
    throw new GradcamppError(
      'INVALID_OPTION',
      `None of the ${clips.length} clips is annotated in ${show(path)}: tubes are found by the clips' paths, or by names that only one has; the first there is of ${show(found[0]?.clip ?? 'none')}, the first clip is ${show(clips[0])}.`,
    );
  return matches.map((match): Tubes => {
    if (!match || 'problem' in match) return match;
    try {
      return tubesOf(bySource.get(match.source) as Line[]);
    } catch (error) {
      return { problem: messageOf(error) };
    }
  });
}

/** One box as the file has it. */
interface Line {
  readonly clip: string;
  readonly class: string;
  readonly numbers: readonly number[];
  /** What edges are divided by. */
  readonly size: readonly [number, number];
  readonly place: string;
}

const tubeList = v.array(
  v.object({
    clip: v.pipe(v.string(), v.nonEmpty()),
    class: v.optional(v.string(), ''),
    size: v.optional(v.tuple([v.number(), v.number()]), [1, 1]),
    boxes: v.array(v.tuple([v.number(), v.number(), v.number(), v.number(), v.number()])),
  }),
);

function inJson(text: string, path: string): Line[] {
  const fail = (why: string): never => {
    throw new GradcamppError(
      'INVALID_OPTION',
      `${show(path)} must be [{"clip": "a.mp4", "class": "jump", "boxes": [[frame, x0, y0, x1, y1], …]}, …]: ${why}.`,
    );
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return fail(messageOf(error));
  }
  const parsed = v.safeParse(tubeList, json);
  if (!parsed.success) return fail(`${v.getDotPath(parsed.issues[0]) ?? 'it'}: ${parsed.issues[0].message}`);
  return parsed.output.flatMap(({ clip, class: name, size, boxes }, i) =>
    boxes.map((numbers, k) => ({
      clip,
      class: name,
      numbers,
      size,
      place: `[${i}].boxes[${k}] in ${path}`,
    })),
  );
}

const columns = ['frame', 'x0', 'y0', 'x1', 'y1'] as const;

function inTable(text: string, path: string): Line[] {
  const [head, ...rows] = parseTable(text);
  const names = head?.cells.map((cell) => cell.toLowerCase()) ?? [];
  const missing = ['clip', ...columns].filter((name) => !names.includes(name));
  if (missing.length > 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `${show(path)} must begin with a head that names clip, ${columns.join(', ')}, and perhaps class, width, height; it lacks ${missing.join(', ')}.`,
    );
  return rows.map(({ cells, line }) => {
    const cell = (name: string) => cells[names.indexOf(name)];
    const size = ['width', 'height'].map((name) => Number(cell(name) || 1)) as [number, number];
    return {
      clip: cell('clip'),
      class: cell('class') ?? '',
      numbers: columns.map((name) => (cell(name) ? Number(cell(name)) : NaN)),
      size,
      place: `${path}:${line}`,
    };
  });
}

/** One tube a class, whatever its case. @throws GradcamppError INVALID_IMAGE, with file and line */
function tubesOf(lines: readonly Line[]): Tube[] {
  return [...groupBy(lines, (line) => line.class.toLowerCase()).values()].map((own) => ({
    class: own[0].class,
    boxes: own.map(boxOf),
  }));
}

function boxOf({ numbers, size: [width, height], place }: Line): FrameBox {
  const [frame, ...edges] = numbers;
  if (!Number.isSafeInteger(frame) || frame < 0)
    throw badAnnotation(`${place} must have a frame, a whole number from 0; received ${frame}`);
  const [x0, y0, x1, y1] = edges.map((edge, i) => edge / (i % 2 === 0 ? width : height));
  const isInside = x0 >= 0 && y0 >= 0 && x1 > x0 && y1 > y0 && x1 <= 1 && y1 <= 1;
  if (isInside) return { frame, box: { x0, y0, x1, y1 } };
  const whole = width === 1 && height === 1 ? '0 … 1 (or give a size)' : `${width} × ${height} pixels`;
  throw badAnnotation(
    `${place} must have edges x0 < x1 and y0 < y1 within ${whole}; received ${edges.join(', ')}`,
  );
}

/** What Map.groupBy does, which Node 20 lacks. */
export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const own = groups.get(keyOf(item));
    if (own) own.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function hasClipExtension(path: string): boolean {
  return [...clipExtensions, ...imageExtensions, '.npy'].includes(extname(path).toLowerCase());
}
