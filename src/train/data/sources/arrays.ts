import { access } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { GradcamppError, show } from '../../../errors.js';
import { openFile, readInto, whyUnreadable } from '../../../files.js';
import { parseNpyHeader, readNpy } from '../../../image/npy.js';
import { namesBeside } from '../class-names.js';
import type { NumbersPart } from '../picture-source.js';
import type { Entry } from '../labelled.js';
import type { Place, Source } from './source.js';

/** An array of pictures in a `.npy` file, with one of their classes beside it. */
export const arrays: Source = {
  name: 'an array of pictures (.npy), with one of their classes beside it',
  takes: ({ path, isFolder }) => !isFolder && extname(path).toLowerCase() === '.npy',
  read: async (place, { several }) => {
    const { of, path } = place;
    const { count, numbers, how } = await picturesIn(place);
    const labelFile = await labelsBeside(place);
    const { classesOf, isMultiLabel, ...own } = await labelsIn(place, labelFile, count, several);
    const size = numbers.channels * numbers.height * numbers.width * (numbers.type === 'uint8' ? 1 : 4);
    const entries = Array.from({ length: count }, (_, n): Entry => {
      const part = { ...numbers, offset: numbers.offset + n * size };
      return {
        picture: { name: `${path}[${n}]`, file: path, numbers: part },
        classes: classesOf(n),
        at: `row ${n} of ${basename(labelFile)}`,
      };
    });
    const each = isMultiLabel ? 'several classes a picture' : 'one class a picture';
    return {
      entries,
      classNames: (await namesBeside(path)) ?? own.classNames,
      isMultiLabel,
      notes: [`${of}: ${count} pictures of ${how}; classes from ${basename(labelFile)}, ${each}.`],
    };
  },
};

/** How large the numbers are is found in so many bytes at a time. */
const piece = 1 << 24;

async function picturesIn(place: Place): Promise<{ count: number; numbers: NumbersPart; how: string }> {
  const { path } = place;
  const refuse = (what: string, cause?: unknown) => wrong(place, what, cause);
  const file = await openFile(path).catch((cause: unknown) => {
    throw refuse(`cannot be read: ${whyUnreadable(cause)}`, cause);
  });
  try {
    const beginning = Buffer.alloc(1 << 16);
    const { descriptor, fortran, dims, offset } = parseNpyHeader(
      beginning.subarray(0, await readInto(file, beginning, 0)),
      path,
    );
    const type = /^[|<=]u1$/.test(descriptor) ? 'uint8' : /^[<=]f4$/.test(descriptor) ? 'float32' : undefined;
    if (!type || fortran)
      throw refuse(
        `holds ${fortran ? 'numbers in Fortran order' : `numbers of type ${descriptor}`}, and uint8 or float32 in C order is expected: save it with np.ascontiguousarray(x, dtype=np.uint8).`,
      );
    const { layout, channels, height, width, isChannelsLast } = layoutOf(place, dims);
    const [count] = dims;
    const size = channels * height * width * (type === 'uint8' ? 1 : 4);
    if ((await file.stat()).size < offset + count * size) throw refuse('ends before its last picture');
    const white =
      type === 'uint8'
        ? 255
        : await whiteOf(place, (bytes, at) => readInto(file, bytes, offset + at), count * size);
    return {
      count,
      numbers: { offset, type, channels, height, width, isChannelsLast, white },
      how: `${height} × ${width} pixels, ${layout} ${type}${type === 'uint8' ? '' : `, 0 to ${white}`}`,
    };
  } finally {
    await file.close();
  }
}

/** Which axes are which: [N, H, W], or with 1 or 3 channels first or last. */
function layoutOf(place: Place, dims: readonly number[]) {
  const [count, a = 0, b = 0, c = 0] = dims;
  const isColour = (dim: number): dim is 1 | 3 => dim === 1 || dim === 3;
  if (!(count > 0)) throw wrong(place, 'holds no pictures');
  if (dims.length === 3)
    return { layout: '[N, H, W]', channels: 1 as const, height: a, width: b, isChannelsLast: false };
  if (dims.length === 4 && isColour(a) && !(isColour(c) && b < 4))
    return { layout: '[N, C, H, W]', channels: a, height: b, width: c, isChannelsLast: false };
  if (dims.length === 4 && isColour(c))
    return { layout: '[N, H, W, C]', channels: c, height: a, width: b, isChannelsLast: true };
  throw wrong(
    place,
    `has dims [${dims.join(', ')}], and [N, C, H, W] or [N, H, W, C] with 1 or 3 channels, or [N, H, W], is expected`,
  );
}

/** Floats are 0 to 1, or 0 to 255; what is below 0 was normalised already. */
async function whiteOf(
  place: Place,
  read: (bytes: Uint8Array, at: number) => Promise<number>,
  size: number,
): Promise<1 | 255> {
  let most = 0;
  for (let at = 0; at < size; at += piece) {
    const bytes = new Uint8Array(Math.min(piece, size - at));
    await read(bytes, at);
    for (const value of new Float32Array(bytes.buffer)) {
      if (value >= 0 && value <= 255) most = Math.max(most, value);
      else
        throw wrong(
          place,
          `holds ${show(value)}, and pictures go from 0 to 1 or from 0 to 255: save them before mean and deviation are taken`,
        );
    }
  }
  return most <= 1 ? 1 : 255;
}

/** What the classes of `x_train.npy` may be called. */
function labelNames(path: string): string[] {
  const name = basename(path, extname(path));
  const swapped = [
    [/^x(?=_|-|$)/i, 'y'],
    [/images?|pictures?|imgs?|data/i, 'labels'],
    [/images?|pictures?|imgs?|data/i, 'targets'],
  ] as const;
  const names = [
    ...['labels', 'targets', 'y'].flatMap((what) => ['.', '-', '_'].map((mark) => `${name}${mark}${what}`)),
    ...swapped.flatMap(([from, to]) => (from.test(name) ? [name.replace(from, to)] : [])),
  ];
  return names.map((own) => join(dirname(path), `${own}.npy`));
}

async function labelsBeside(place: Place): Promise<string> {
  const names = labelNames(place.path);
  for (const name of names) {
    const isThere = await access(name).then(
      () => true,
      () => false,
    );
    if (isThere) return name;
  }
  const likely = [names[0], ...names.slice(9)].map((name) => basename(name));
  throw wrong(place, `has no classes beside it: save them, [N] or [N, classes], as ${likely.join(' or ')}`);
}

async function labelsIn(
  place: Place,
  path: string,
  count: number,
  several: boolean | undefined,
): Promise<{
  classesOf: (n: number) => string[];
  isMultiLabel: boolean;
  classNames?: readonly string[];
}> {
  const { dims, data } = await readNpy(path);
  const own = dims.filter((dim, i) => i === 0 || dim !== 1); // [N, 1], as Keras has it
  const whole = (value: number | bigint) => Number.isInteger(Number(value)) && Number(value) >= 0;
  if (own[0] !== count)
    throw wrong(place, `has ${count} pictures, and ${basename(path)} has classes of ${own[0] ?? 1}`);
  if (own.length === 1) {
    const at = (data as ArrayLike<number | bigint> & { findIndex: Uint8Array['findIndex'] }).findIndex(
      (value) => !whole(value),
    );
    if (at >= 0)
      throw wrong(place, `needs classes from 0 on, and row ${at} of ${basename(path)} is ${show(data[at])}`);
    return { classesOf: (n) => [String(data[n])], isMultiLabel: several ?? false };
  }
  const isTicked = Array.from(data as ArrayLike<number | bigint>, Number).every(
    (value) => value === 0 || value === 1,
  );
  if (own.length !== 2 || !isTicked)
    throw wrong(
      place,
      `needs classes as [N] from 0 on, or as 0 and 1 in [N, classes]; ${basename(path)} has dims [${dims.join(', ')}]${isTicked ? '' : ' and other numbers'}`,
    );
  const [, classes] = own;
  const classesOf = (n: number) =>
    Array.from({ length: classes }, (_, c) => c)
      .filter((c) => Number(data[n * classes + c]) === 1)
      .map(String);
  const isHot = Array.from({ length: count }, (_, n) => classesOf(n).length).every((ones) => ones === 1);
  const classNames = Array.from({ length: classes }, (_, c) => String(c));
  return { classesOf, isMultiLabel: several ?? !isHot, classNames };
}

function wrong({ of }: Place, what: string, cause?: unknown): GradcamppError {
  return new GradcamppError('INVALID_OPTION', `${of} ${what}${what.endsWith('.') ? '' : '.'}`, { cause });
}
