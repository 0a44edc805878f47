import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { folderWriter } from '../../batch/results/write-file.js';
import type { Views } from '../data/views.js';
import type { Lesson, Teacher } from '../teacher.js';

/** Where what a teacher says of every view of every picture is kept. */
export interface LessonFiles {
  /** One file a view, in the cache. */
  readonly files: readonly string[];
  /** M. */
  readonly classes: number;
  readonly mapDims: readonly number[];
  /** Maps of each picture: as many as it has classes at most. */
  readonly most: number;
  readonly has: readonly Part[];
}

/** What a lesson holds beside the scores. */
export type Part = 'maps' | 'attention';

/** Pictures that the teacher sees at once. */
const together = 64;

export interface AskOptions {
  readonly teacher: Teacher;
  readonly views: Views;
  readonly labels: readonly (readonly number[])[];
  /** Classes of a picture at most. */
  readonly most: number;
  /** How many views there are of each picture. */
  readonly count: number;
  readonly has: readonly Part[];
  /** What the answers depend on: the network, the layer, the pictures and how they are changed. */
  readonly key: unknown;
  readonly cache: string;
  readonly onProgress?: (done: number) => void;
}

/** Asks the teacher once for everything that it will be asked. Views that are in the cache already are not asked for again. */
export async function askTeacher(options: AskOptions): Promise<LessonFiles> {
  const { teacher, views, labels, most, count, has, key, cache, onProgress } = options;
  const hash = createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 16);
  const row = rowOf({ classes: teacher.classCount, mapDims: teacher.mapDims, most, has });
  const files: string[] = [];
  for (let view = 0; view < count; view++) {
    const name = `lesson-${hash}-${view}.f32`;
    files.push(name);
    const known = await readFile(join(cache, name)).catch(() => undefined);
    if (known?.length === labels.length * row.size * 4) continue;
    const rows = new Float32Array(labels.length * row.size);
    for (let start = 0; start < labels.length; start += together) {
      const pictures = Array.from({ length: Math.min(together, labels.length - start) }, (_, i) => start + i);
      const images = views.batch(pictures, view);
      const own = pictures.map((picture) => labels[picture]);
      const lesson = await teacher.run(images, views.dims, own, most);
      writeRows(rows, { lesson, has, first: start, size: row.size, pictures: own.length });
      onProgress?.(view * labels.length + start + own.length);
    }
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    await folderWriter(cache, 'lesson')(name, [bytes]);
  }
  return { files, classes: teacher.classCount, mapDims: teacher.mapDims, most, has };
}

/** Where the numbers of one picture are: scores, then the parts. */
interface Row {
  readonly size: number;
  readonly places: ReadonlyMap<'scores' | Part, { readonly at: number; readonly length: number }>;
}

function rowOf({ classes, mapDims, most, has }: Omit<LessonFiles, 'files'>): Row {
  const area = mapDims.reduce((product, dim) => product * dim, 1);
  const lengths = { scores: classes, maps: most * area, attention: area };
  const places = new Map<'scores' | Part, { at: number; length: number }>();
  let size = 0;
  for (const part of ['scores' as const, ...has]) {
    places.set(part, { at: size, length: lengths[part] });
    size += lengths[part];
  }
  return { size, places };
}

function writeRows(
  rows: Float32Array,
  own: { lesson: Lesson; has: readonly Part[]; first: number; size: number; pictures: number },
): void {
  const { lesson, has, first, size, pictures } = own;
  const parts = [lesson.scores, ...has.map((part) => lesson[part] as Float32Array)];
  for (let n = 0; n < pictures; n++) {
    let at = (first + n) * size;
    for (const part of parts) {
      const length = part.length / pictures;
      rows.set(part.subarray(n * length, (n + 1) * length), at);
      at += length;
    }
  }
}

/** What the cache holds, in memory. */
export class Lessons {
  readonly classes: number;
  readonly mapDims: readonly number[];
  /** Maps of each picture: as many as it has classes at most. */
  readonly most: number;
  readonly views: number;
  readonly #row: Row;
  readonly #views: readonly Float32Array[];

  private constructor(files: LessonFiles, views: readonly Float32Array[]) {
    this.classes = files.classes;
    this.mapDims = files.mapDims;
    this.most = files.most;
    this.views = views.length;
    this.#row = rowOf(files);
    this.#views = views;
  }

  static async read(cache: string, files: LessonFiles): Promise<Lessons> {
    const rows: Float32Array[] = [];
    for (const name of files.files) {
      const bytes = await readFile(join(cache, name));
      rows.push(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
    }
    return new Lessons(files, rows);
  }

  /** Scores, maps or attention of some pictures, each in the view that it is seen in. */
  of(what: 'scores' | Part, pictures: readonly number[], views: readonly number[]): Float32Array {
    const { size, places } = this.#row;
    const { at: start, length } = places.get(what) as { at: number; length: number };
    const out = new Float32Array(pictures.length * length);
    for (const [n, picture] of pictures.entries()) {
      const at = picture * size + start;
      out.set(this.#views[views[n]].subarray(at, at + length), n * length);
    }
    return out;
  }
}
